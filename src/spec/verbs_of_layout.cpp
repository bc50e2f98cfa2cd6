#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {
namespace {

// The members of one stack: tensors that differ only in the number captured by `over`.
struct Members {
  RuleMatch first;
  std::map<int64_t, RuleMatch> by_number;
};

Result<std::map<std::string, Members>> group_by(const RuleContext& context, const std::string& over) {
  std::map<std::string, Members> groups;
  PIPPIN_TRY(std::vector<RuleMatch> found, matches(context));
  for (auto& match : found) {
    const auto number = match.captures.find(over);
    if (number == match.captures.end() || !number->second.is_number_integer()) {
      return rule_error(context, ErrorTag::bad_spec, fmt::format("the pattern must capture the number {{{}}}", over),
                        match.name);
    }
    const int64_t position = number->second.get<int64_t>();
    Captures others = match.captures;
    others.erase(over);
    const std::string key = Value(others).dump();
    auto [group, is_new] = groups.try_emplace(key, Members{match, {}});
    if (!group->second.by_number.try_emplace(position, std::move(match)).second) {
      return rule_error(context, ErrorTag::mismatch, "a number occurs once in a stack", group->second.first.name);
    }
  }
  return groups;
}

std::string over_of(const RuleContext& context) {
  const auto given = context.rule.arguments.find("over");
  return given == context.rule.arguments.end() ? "e" : given->second.text;
}

// Sizes of the parts of a split: given, or equal.
Result<std::vector<int64_t>> part_sizes(const RuleContext& context, const Environment& environment, int64_t whole,
                                        size_t parts, const std::string& name) {
  if (context.rule.arguments.contains("sizes")) {
    PIPPIN_TRY(std::vector<int64_t> sizes, integers_argument(context, environment, "sizes"));
    int64_t total = 0;
    for (const int64_t size : sizes) total += size;
    const bool fits = sizes.size() == parts && total == whole &&
                      std::all_of(sizes.begin(), sizes.end(), [](int64_t s) { return s >= 0; });
    if (fits) return sizes;
    return rule_error(context, ErrorTag::mismatch, "the parts of a split must add up",
                      fmt::format("{}: parts {} of {}", name, to_string(sizes), whole));
  }
  if (whole % static_cast<int64_t>(parts) != 0) {
    return rule_error(context, ErrorTag::mismatch, "a split needs a dimension that divides",
                      fmt::format("{}: {} into {} parts", name, whole, parts));
  }
  return std::vector<int64_t>(parts, whole / static_cast<int64_t>(parts));
}

}  // namespace

Status stack(RuleContext& context) {
  const std::string over = over_of(context);
  PIPPIN_TRY(auto groups, group_by(context, over));
  for (auto& [key, members] : groups) {
    const Bindings bindings = bindings_of(context, members.first);
    PIPPIN_TRY(const int64_t first, integer_argument(context, bindings, "first", 0));
    PIPPIN_TRY(const int64_t count,
               integer_argument(context, bindings, "count", members.by_number.rbegin()->first + 1 - first));
    std::vector<RecipePtr> parts;
    std::vector<std::string> used;
    for (int64_t number = first; number < first + count; ++number) {
      const auto member = members.by_number.find(number);
      if (member == members.by_number.end()) {
        return rule_error(
            context, ErrorTag::mismatch, "a stack needs all its parts",
            fmt::format("{}{}: number {} of {} is missing", context.scope.prefix(), members.first.name, number, count));
      }
      parts.push_back(member->second.tensor);
      used.push_back(member->second.name);
    }
    if (parts.empty()) continue;
    PIPPIN_TRY(const int64_t axis, integer_argument(context, bindings, "axis", 0));
    PIPPIN_TRY(RecipePtr stacked, at_tensor(context, members.first.name, pippin::stack(parts, static_cast<int>(axis))));
    PIPPIN_TRY(std::string name, context.rule.to[0].fill(bindings));
    for (const auto& one : used) context.tensors.erase(one);
    context.tensors.insert_or_assign(std::move(name), std::move(stacked));
  }
  return {};
}

Status unstack(RuleContext& context) {
  const std::string over = over_of(context);
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, 0));
    const int64_t whole = match.tensor->shape[static_cast<size_t>(axis)];
    PIPPIN_TRY(const int64_t count, integer_argument(context, bindings, "count", whole));
    if (count <= 0 || whole % count != 0) {
      return rule_error(context, ErrorTag::mismatch, "a split needs a dimension that divides",
                        fmt::format("{}: {} into {} parts", match.name, whole, count));
    }
    PIPPIN_TRY(const Value squeeze, argument(context, bindings, "squeeze"));
    context.tensors.erase(match.name);
    for (int64_t number = 0; number < count; ++number) {
      const int64_t size = whole / count;
      PIPPIN_TRY(RecipePtr part,
                 at_tensor(context, match.name, pippin::slice(match.tensor, axis, number * size, (number + 1) * size)));
      if (truth(squeeze)) {
        Shape shape = part->shape;
        shape.erase(shape.begin() + axis);
        PIPPIN_TRY(part, at_tensor(context, match.name, pippin::reshape(part, shape)));
      }
      bindings.set(over, number);
      PIPPIN_TRY(std::string name, context.rule.to[0].fill(bindings));
      context.tensors.insert_or_assign(std::move(name), std::move(part));
    }
  }
  return {};
}

Status split(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, 0));
    const int64_t whole = match.tensor->shape[static_cast<size_t>(axis)];
    const size_t parts = context.rule.to.size();
    PIPPIN_TRY(const Value interleaved, argument(context, bindings, "interleaved"));
    std::vector<int64_t> sizes;
    if (!truth(interleaved)) {
      PIPPIN_TRY(sizes, part_sizes(context, bindings, whole, parts, match.name));
    }
    context.tensors.erase(match.name);
    int64_t begin = 0;
    for (size_t i = 0; i < parts; ++i) {
      const auto number = static_cast<int64_t>(i);
      auto part = truth(interleaved) ? pippin::slice(match.tensor, axis, number, whole, static_cast<int64_t>(parts))
                                     : pippin::slice(match.tensor, axis, begin, begin + sizes[i]);
      if (!truth(interleaved)) begin += sizes[i];
      PIPPIN_TRY(std::string name, context.rule.to[i].fill(bindings));
      if (name.empty()) continue;
      PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, std::move(part)));
      context.tensors.insert_or_assign(std::move(name), std::move(value));
    }
  }
  return {};
}

Status concat(RuleContext& context) {
  // The first name is a pattern, the others are templates of the names that belong to it.
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context, {context.rule.patterns[0]}));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    std::vector<std::string> names{match.name};
    std::vector<RecipePtr> parts{match.tensor};
    for (size_t i = 1; i < context.rule.patterns.size(); ++i) {
      PIPPIN_TRY(const NameTemplate other, NameTemplate::parse(context.rule.patterns[i].text(), context.rule.where));
      PIPPIN_TRY(std::string name, other.fill(bindings));
      const auto tensor = context.tensors.find(name);
      if (tensor == context.tensors.end()) break;
      parts.push_back(tensor->second);
      names.push_back(std::move(name));
    }
    if (parts.size() != context.rule.patterns.size()) continue;  // not all parts are there: nothing to join
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, 0));
    PIPPIN_TRY(RecipePtr joined, at_tensor(context, match.name, pippin::concat(parts, axis)));
    PIPPIN_TRY(std::string name, context.rule.to[0].fill(bindings));
    for (const auto& one : names) context.tensors.erase(one);
    context.tensors.insert_or_assign(std::move(name), std::move(joined));
  }
  return {};
}

Status transpose(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(const std::vector<int64_t> axes, integers_argument(context, bindings_of(context, match), "perm"));
    PIPPIN_TRY(RecipePtr value,
               at_tensor(context, match.name, pippin::transpose(match.tensor, {axes.begin(), axes.end()})));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status reshape(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(Shape shape, integers_argument(context, bindings_of(context, match), "shape"));
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, pippin::reshape(match.tensor, std::move(shape))));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status broadcast(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(Shape shape, integers_argument(context, bindings_of(context, match), "shape"));
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, pippin::broadcast(match.tensor, std::move(shape))));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status slice(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, 0));
    const int64_t whole = match.tensor->shape[static_cast<size_t>(axis)];
    PIPPIN_TRY(const int64_t begin, integer_argument(context, bindings, "begin", 0));
    PIPPIN_TRY(const int64_t end, integer_argument(context, bindings, "end", whole));
    PIPPIN_TRY(RecipePtr value,
               at_tensor(context, match.name, pippin::slice(match.tensor, axis, begin, std::min(end, whole))));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status repeat(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, 0));
    PIPPIN_TRY(const int64_t times, integer_argument(context, bindings, "times", 1));
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, pippin::repeat(match.tensor, axis, times)));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status view(RuleContext& context) {
  PIPPIN_TRY(const DType dtype, dtype_argument(context, "dtype"));
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, pippin::view(match.tensor, dtype)));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

}  // namespace pippin::verbs

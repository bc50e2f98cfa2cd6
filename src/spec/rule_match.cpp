#include "spec/rule_match.h"

#include <fmt/format.h>

namespace pippin {

Bindings bindings_of(const RuleContext& context, const RuleMatch& match) {
  Bindings bindings(&context.scope);
  for (const auto& [name, value] : match.captures) bindings.set(name, value);
  bindings.set("name", match.name);
  bindings.set("shape", match.tensor->shape);
  bindings.set("ndim", static_cast<int64_t>(match.tensor->shape.size()));
  bindings.set("dtype", std::string(name_of(match.tensor->dtype)));
  return bindings;
}

Result<std::vector<RuleMatch>> matches(const RuleContext& context, const std::vector<NamePattern>& patterns) {
  std::vector<RuleMatch> found;
  for (const auto& [name, tensor] : context.tensors) {
    for (const auto& pattern : patterns) {
      auto captures = pattern.match(name);
      if (!captures) continue;
      RuleMatch match{name, std::move(*captures), tensor};
      if (context.rule.only_if) {
        PIPPIN_TRY(const bool wanted, context.rule.only_if->test(bindings_of(context, match)));
        if (!wanted) continue;
      }
      found.push_back(std::move(match));
      break;
    }
  }
  return found;
}

Result<std::vector<RuleMatch>> matches(const RuleContext& context) {
  return matches(context, context.rule.patterns);
}

Result<Value> argument(const RuleContext& context, const Environment& environment, std::string_view key) {
  const auto found = context.rule.arguments.find(key);
  if (found == context.rule.arguments.end()) return Value(nullptr);
  if (!found->second.is_list) {
    if (found->second.items.empty()) return Value(found->second.text);
    return found->second.items[0].evaluate(environment);
  }
  Value list = Value::array();
  for (const auto& item : found->second.items) {
    PIPPIN_TRY(Value value, item.evaluate(environment));
    list.push_back(std::move(value));
  }
  return list;
}

Result<int64_t> integer_argument(const RuleContext& context, const Environment& environment, std::string_view key,
                                 int64_t otherwise) {
  PIPPIN_TRY(const Value value, argument(context, environment, key));
  if (value.is_null()) return otherwise;
  if (value.is_number_integer()) return value.get<int64_t>();
  return rule_error(context, ErrorTag::bad_spec, fmt::format("{} must be an integer", key), value.dump());
}

Result<std::vector<int64_t>> integers_argument(const RuleContext& context, const Environment& environment,
                                               std::string_view key) {
  PIPPIN_TRY(const Value value, argument(context, environment, key));
  std::vector<int64_t> result;
  if (!value.is_array())
    return rule_error(context, ErrorTag::bad_spec, fmt::format("{} must be a list of integers", key), value.dump());
  for (const auto& item : value) {
    if (!item.is_number_integer()) {
      return rule_error(context, ErrorTag::bad_spec, fmt::format("{} must be a list of integers", key), value.dump());
    }
    result.push_back(item.get<int64_t>());
  }
  return result;
}

Result<DType> dtype_argument(const RuleContext& context, std::string_view key, std::optional<DType> otherwise) {
  const auto found = context.rule.arguments.find(key);
  if (found == context.rule.arguments.end() && otherwise) return *otherwise;
  const std::string text = found == context.rule.arguments.end() ? "" : found->second.text;
  const auto dtype = dtype_of(text);
  if (!dtype) return rule_error(context, ErrorTag::bad_spec, fmt::format("{} must be a dtype such as BF16", key), text);
  return *dtype;
}

Result<std::string> name_argument(const RuleContext& context, const Environment& environment, std::string_view key) {
  const auto found = context.rule.arguments.find(key);
  if (found == context.rule.arguments.end()) return std::string();
  PIPPIN_TRY(const NameTemplate name, NameTemplate::parse(found->second.text, context.rule.where));
  return name.fill(environment);
}

Result<int> axis_argument(const RuleContext& context, const Environment& environment, const RecipePtr& tensor,
                          int64_t otherwise) {
  PIPPIN_TRY(int64_t axis, integer_argument(context, environment, "axis", otherwise));
  const auto rank = static_cast<int64_t>(tensor->shape.size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) {
    return rule_error(context, ErrorTag::mismatch, "the axis must exist",
                      fmt::format("axis {} of a tensor {}", axis, to_string(tensor->shape)));
  }
  return static_cast<int>(axis);
}

Result<std::string> result_name(const RuleContext& context, const RuleMatch& match) {
  if (context.rule.to.empty()) return match.name;
  return context.rule.to[0].fill(bindings_of(context, match));
}

Status put(RuleContext& context, const RuleMatch& match, RecipePtr result) {
  PIPPIN_TRY(std::string name, result_name(context, match));
  context.tensors.erase(match.name);
  context.tensors.insert_or_assign(std::move(name), std::move(result));
  return {};
}

tl::unexpected<Error> rule_error(const RuleContext& context, ErrorTag tag, std::string rule, const std::string& what) {
  return fail(tag, std::move(rule), fmt::format("{} ({}): {}", context.rule.where, context.rule.verb->name, what),
              tag == ErrorTag::bad_spec ? "mend the spec; architectures/README.md is its manual"
                                        : "check that the checkpoint is complete and that config.json belongs to it");
}

Result<RecipePtr> at_tensor(const RuleContext& context, const std::string& name, Result<RecipePtr> result) {
  if (result) return result;
  Error error = std::move(result).error();
  error.value = fmt::format("{}{}: {} ({})", context.scope.prefix(), name, error.value, context.rule.where);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace pippin

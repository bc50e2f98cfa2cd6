#include <algorithm>

#include <fmt/format.h>

#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {

Status drop(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) context.tensors.erase(match.name);
  return {};
}

Status keep(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  TensorMap kept;
  for (const auto& match : found) kept.emplace(match.name, match.tensor);
  context.tensors = std::move(kept);
  return {};
}

Status rename(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  PIPPIN_TRY(const Value over_existing, argument(context, context.scope, "unless_exists"));
  std::vector<std::pair<std::string, RecipePtr>> renamed;
  for (const auto& match : found) {
    PIPPIN_TRY(std::string name, result_name(context, match));
    if (truth(over_existing) && context.tensors.contains(name)) continue;
    context.tensors.erase(match.name);
    renamed.emplace_back(std::move(name), match.tensor);
  }
  for (auto& [name, tensor] : renamed) context.tensors.insert_or_assign(std::move(name), std::move(tensor));
  return {};
}

// Python's str.replace on the whole name: all occurrences, or the first `count`.
Status replace(RuleContext& context) {
  const std::string& from = context.rule.arguments.at("replace").text;
  const std::string& with = context.rule.arguments.at("with").text;
  PIPPIN_TRY(const int64_t count, integer_argument(context, context.scope, "count", -1));
  if (from.empty()) return rule_error(context, ErrorTag::bad_spec, "replace needs a text to look for", "\"\"");
  std::vector<NamePattern> in;
  if (const auto given = context.rule.arguments.find("in"); given != context.rule.arguments.end()) {
    PIPPIN_TRY(NamePattern pattern, NamePattern::parse(given->second.text, context.rule.where));
    in.push_back(std::move(pattern));
  } else {
    PIPPIN_TRY(NamePattern everything, NamePattern::parse("**", context.rule.where));
    in.push_back(std::move(everything));
  }
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context, in));
  std::vector<std::pair<std::string, RecipePtr>> renamed;
  for (const auto& match : found) {
    std::string name = match.name;
    int64_t done = 0;
    for (size_t at = name.find(from); at != std::string::npos && done != count;
         at = name.find(from, at + with.size())) {
      name.replace(at, from.size(), with);
      ++done;
    }
    if (done == 0) continue;
    context.tensors.erase(match.name);
    renamed.emplace_back(std::move(name), match.tensor);
  }
  for (auto& [name, tensor] : renamed) context.tensors.insert_or_assign(std::move(name), std::move(tensor));
  return {};
}

Status copy(RuleContext& context) {
  PIPPIN_TRY(const Value overwrite, argument(context, context.scope, "overwrite"));
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(std::string name, result_name(context, match));
    if (truth(overwrite))
      context.tensors.insert_or_assign(std::move(name), match.tensor);
    else
      context.tensors.try_emplace(std::move(name), match.tensor);
  }
  return {};
}

Status stop(RuleContext& context) {
  PIPPIN_TRY(const Value condition, argument(context, context.scope, "stop"));
  context.stop = truth(condition);
  return {};
}

Status refuse(RuleContext& context) {
  const std::string& reason = context.rule.arguments.at("refuse").text;
  return fail(ErrorTag::unsupported, reason, context.rule.where, "see docs/architectures.md for what is supported");
}

Status warn(RuleContext& context) {
  if (context.warnings != nullptr) context.warnings->push_back(context.rule.arguments.at("warn").text);
  return {};
}

}  // namespace pippin::verbs

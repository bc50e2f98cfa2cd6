// What weight verbs share: finding the matching tensors, reading arguments, putting results back.
#pragma once

#include <string>
#include <vector>

#include "spec/weight_verbs.h"

namespace pippin {

struct RuleMatch {
  std::string name;
  Captures captures;
  RecipePtr tensor;
};

// All tensors that match one of the rule's patterns and its `if`, sorted by name.
Result<std::vector<RuleMatch>> matches(const RuleContext& context);
// The same for the given patterns only.
Result<std::vector<RuleMatch>> matches(const RuleContext& context, const std::vector<NamePattern>& patterns);

// The environment of a match: captures, name, shape, ndim, dtype, in front of the scope.
Bindings bindings_of(const RuleContext& context, const RuleMatch& match);

// Argument `key` as a value: a list where it is written as one. Null where it is not given.
Result<Value> argument(const RuleContext& context, const Environment& environment, std::string_view key);
Result<int64_t> integer_argument(const RuleContext& context, const Environment& environment, std::string_view key,
                                 int64_t otherwise);
Result<std::vector<int64_t>> integers_argument(const RuleContext& context, const Environment& environment,
                                               std::string_view key);
Result<DType> dtype_argument(const RuleContext& context, std::string_view key,
                             std::optional<DType> otherwise = std::nullopt);
// Argument `key` filled as a name template.
Result<std::string> name_argument(const RuleContext& context, const Environment& environment, std::string_view key);

// An axis of the tensor, negative from the end.
Result<int> axis_argument(const RuleContext& context, const Environment& environment, const RecipePtr& tensor,
                          int64_t otherwise);

// The name for the result: the rule's `to` or the match's own.
Result<std::string> result_name(const RuleContext& context, const RuleMatch& match);
// Takes the match out and puts `result` in under result_name().
Status put(RuleContext& context, const RuleMatch& match, RecipePtr result);

// An error of the rule about a tensor.
tl::unexpected<Error> rule_error(const RuleContext& context, ErrorTag tag, std::string rule, const std::string& what);
// `result`, its error extended by the rule's place and the tensor's name.
Result<RecipePtr> at_tensor(const RuleContext& context, const std::string& name, Result<RecipePtr> result);

}  // namespace pippin

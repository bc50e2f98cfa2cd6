#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {
namespace {

Status apply(RuleContext& context, Function::Kind kind) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const RecipePtr wide = pippin::cast(match.tensor, DType::F32);
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, function(kind, wide)));
    PIPPIN_CHECK(put(context, match, pippin::cast(std::move(value), match.tensor->dtype)));
  }
  return {};
}

}  // namespace

Status sigmoid(RuleContext& context) {
  return apply(context, Function::Kind::sigmoid);
}
Status square_root(RuleContext& context) {
  return apply(context, Function::Kind::square_root);
}

}  // namespace pippin::verbs

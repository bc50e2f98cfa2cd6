// Verbs that put weights together which a checkpoint holds as factors: low-rank adapters, weight norm; and tables.
#include <fmt/format.h>

#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {
namespace {

// What MLX computes with where two arrays meet.
DType promoted(DType x, DType y) {
  return x == y ? x : x == DType::F64 || y == DType::F64 ? DType::F64 : DType::F32;
}

// Takes the tensor that argument `key` names out of the map; null where it is not there.
Result<RecipePtr> take_named(RuleContext& context, const Bindings& bindings, std::string_view key) {
  PIPPIN_TRY(const std::string name, name_argument(context, bindings, key));
  const auto found = context.tensors.find(name);
  if (found == context.tensors.end()) return RecipePtr();
  RecipePtr tensor = found->second;
  context.tensors.erase(found);
  return tensor;
}

Result<double> number_argument(const RuleContext& context, const Bindings& bindings, std::string_view key,
                               double otherwise) {
  PIPPIN_TRY(const Value value, argument(context, bindings, key));
  if (value.is_null()) return otherwise;
  if (value.is_number()) return value.get<double>();
  return rule_error(context, ErrorTag::bad_spec, fmt::format("{} must be a number", key), value.dump());
}

// base + scale * (b @ a), each step rounded to its dtype.
Result<RecipePtr> merged(const RecipePtr& base, const RecipePtr& a, const RecipePtr& b, double scale) {
  const DType factors = promoted(a->dtype, b->dtype);
  PIPPIN_TRY(RecipePtr update, matrix_product(pippin::cast(b, factors), pippin::cast(a, factors)));
  if (scale != 1) {
    PIPPIN_TRY(update, arithmetic(Arithmetic::Op::multiply, update, constant(scale, factors, {})));
  }
  if (update->shape != base->shape) {
    return fail(ErrorTag::mismatch, "a LoRA's product has the shape of the weight that it belongs to",
                fmt::format("product {}, weight {}", to_string(update->shape), to_string(base->shape)),
                "check that the adapter belongs to this model");
  }
  const DType together = promoted(base->dtype, factors);
  return arithmetic(Arithmetic::Op::add, pippin::cast(base, together), pippin::cast(update, together));
}

}  // namespace

Status merge_lora(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const double scale, number_argument(context, bindings, "scale", 1));
    PIPPIN_TRY(const RecipePtr a, take_named(context, bindings, "a"));
    PIPPIN_TRY(const RecipePtr b, take_named(context, bindings, "b"));
    if (!a || !b) continue;
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, merged(match.tensor, a, b, scale)));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status weight_norm(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const double epsilon, number_argument(context, bindings, "epsilon", 1e-12));
    PIPPIN_TRY(const RecipePtr g, take_named(context, bindings, "g"));
    if (!g || match.tensor->shape.empty()) {
      return rule_error(context, ErrorTag::mismatch, "a weight under weight norm has its lengths g beside it",
                        match.name);
    }
    const int64_t rows = match.tensor->shape[0];
    const auto weight = [&]() -> Result<RecipePtr> {
      PIPPIN_TRY(const RecipePtr v, pippin::reshape(pippin::cast(match.tensor, DType::F32), {rows, -1}));
      PIPPIN_TRY(const RecipePtr length, pippin::reshape(pippin::cast(g, DType::F32), {rows, 1}));
      PIPPIN_TRY(RecipePtr norms, norm(v, 1));
      PIPPIN_TRY(norms, arithmetic(Arithmetic::Op::maximum, norms, constant(epsilon, DType::F32, {})));
      PIPPIN_TRY(const RecipePtr factor, arithmetic(Arithmetic::Op::divide, length, norms));
      PIPPIN_TRY(const RecipePtr product, arithmetic(Arithmetic::Op::multiply, v, factor));
      return pippin::reshape(pippin::cast(product, match.tensor->dtype), match.tensor->shape);
    };
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, weight()));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status rotary_table(RuleContext& context) {
  const Bindings bindings(&context.scope);
  PIPPIN_TRY(std::string name, name_argument(context, bindings, "rotary_table"));
  PIPPIN_TRY(const int64_t length, integer_argument(context, bindings, "length", 0));
  PIPPIN_TRY(const int64_t dims, integer_argument(context, bindings, "dims", 0));
  PIPPIN_TRY(const double base, number_argument(context, bindings, "base", 10000));
  const auto function = context.rule.arguments.find("function");
  const std::string kind = function == context.rule.arguments.end() ? "" : function->second.text;
  if (kind != "cos" && kind != "sin") return rule_error(context, ErrorTag::bad_spec, "function is cos or sin", kind);
  const auto which = kind == "cos" ? RotaryTable::Kind::cosine : RotaryTable::Kind::sine;
  PIPPIN_TRY(context.tensors[name], at_tensor(context, name, pippin::rotary_table(which, base, dims, length)));
  return {};
}

}  // namespace pippin::verbs

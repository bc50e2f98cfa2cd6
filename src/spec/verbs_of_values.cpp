#include <fmt/format.h>

#include "spec/rule_match.h"
#include "spec/verb_functions.h"

namespace pippin::verbs {
namespace {

Status arithmetic_rule(RuleContext& context, Arithmetic::Op op) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    RecipePtr other;
    if (context.rule.arguments.contains("by")) {
      PIPPIN_TRY(const std::string name, name_argument(context, bindings, "by"));
      const auto tensor = context.tensors.find(name);
      if (tensor == context.tensors.end()) {
        return rule_error(context, ErrorTag::mismatch, "both tensors must be there",
                          fmt::format("{} needs {}", match.name, name));
      }
      other = pippin::cast(tensor->second, match.tensor->dtype);
    } else {
      PIPPIN_TRY(const Value value, argument(context, bindings, "value"));
      if (!value.is_number()) return rule_error(context, ErrorTag::bad_spec, "value must be a number", value.dump());
      other = constant(value.get<double>(), match.tensor->dtype, {});
    }
    PIPPIN_TRY(RecipePtr value, at_tensor(context, match.name, arithmetic(op, match.tensor, std::move(other))));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

// Takes a companion tensor (a scale) out of the map; null where it is not there.
RecipePtr take(RuleContext& context, const std::string& name) {
  const auto found = context.tensors.find(name);
  if (found == context.tensors.end()) return nullptr;
  RecipePtr tensor = found->second;
  context.tensors.erase(found);
  return tensor;
}

struct MlaSizes {
  int64_t heads, nope, v, rank;
};

// kv_b_proj [heads * (nope + v), rank] as embed_q [heads, rank, nope] and unembed_out [heads, v, rank].
Result<std::pair<RecipePtr, RecipePtr>> split_heads(const RecipePtr& dense, const MlaSizes& sizes) {
  PIPPIN_TRY(const RecipePtr by_head, pippin::reshape(dense, {sizes.heads, sizes.nope + sizes.v, -1}));
  PIPPIN_TRY(const RecipePtr nope, pippin::slice(by_head, 1, 0, sizes.nope));
  PIPPIN_TRY(RecipePtr embed_q, pippin::transpose(nope, {0, 2, 1}));
  PIPPIN_TRY(RecipePtr unembed_out, pippin::slice(by_head, 1, sizes.nope, sizes.nope + sizes.v));
  return std::pair(std::move(embed_q), std::move(unembed_out));
}

// A packed kv_b_proj is unpacked, split and packed again with its own bits and group size.
Status split_packed(RuleContext& context, const RuleMatch& match, const std::string& path, const MlaSizes& sizes,
                    const std::vector<std::string>& to) {
  const RecipePtr scales = take(context, path + ".scales");
  const RecipePtr biases = take(context, path + ".biases");
  const auto& words = match.tensor->shape;
  if (sizes.rank <= 0 || words.size() != 2 || scales->shape.size() != 2 || scales->shape[1] <= 0) {
    return rule_error(context, ErrorTag::mismatch, "a packed kv_b_proj has two dimensions", to_string(words));
  }
  const QuantFormat format{biases ? QuantMode::affine : QuantMode::mxfp8, static_cast<int>(words[1] * 32 / sizes.rank),
                           static_cast<int>(sizes.rank / scales->shape[1])};
  PIPPIN_CHECK(check(format));
  const DType dtype = biases ? scales->dtype : DType::BF16;
  PIPPIN_TRY(const RecipePtr dense,
             at_tensor(context, match.name, pippin::dequantize(format, match.tensor, scales, biases, dtype)));
  PIPPIN_TRY(const auto halves, split_heads(dense, sizes));
  context.tensors.erase(match.name);
  using Part = QuantizePart::Part;
  for (const auto& [name, half] : {std::pair(to[0], halves.first), std::pair(to[1], halves.second)}) {
    PIPPIN_TRY(context.tensors[name + ".weight"],
               at_tensor(context, match.name, quantize_part(format, half, Part::weight)));
    PIPPIN_TRY(context.tensors[name + ".scales"],
               at_tensor(context, match.name, quantize_part(format, half, Part::scales)));
    if (!biases) continue;
    PIPPIN_TRY(context.tensors[name + ".biases"],
               at_tensor(context, match.name, quantize_part(format, half, Part::biases)));
  }
  return {};
}

}  // namespace

Status add(RuleContext& context) {
  return arithmetic_rule(context, Arithmetic::Op::add);
}
Status multiply(RuleContext& context) {
  return arithmetic_rule(context, Arithmetic::Op::multiply);
}

Status divide(RuleContext& context) {
  return arithmetic_rule(context, Arithmetic::Op::divide);
}
Status maximum(RuleContext& context) {
  return arithmetic_rule(context, Arithmetic::Op::maximum);
}

Status cast(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    DType dtype{};
    if (context.rule.arguments.contains("like")) {
      PIPPIN_TRY(const std::string name, name_argument(context, bindings_of(context, match), "like"));
      const auto model = context.tensors.find(name);
      if (model == context.tensors.end()) {
        return rule_error(context, ErrorTag::mismatch, "the tensor whose dtype is taken must be there", name);
      }
      dtype = model->second->dtype;
    } else {
      PIPPIN_TRY(dtype, dtype_argument(context, "dtype"));
    }
    PIPPIN_CHECK(put(context, match, pippin::cast(match.tensor, dtype)));
  }
  return {};
}

Status create(RuleContext& context) {
  PIPPIN_TRY(const DType dtype, dtype_argument(context, "dtype"));
  PIPPIN_TRY(const Value over, argument(context, context.scope, "for"));
  for (const auto& item : over.is_array() ? over : Value::array({nullptr})) {
    Bindings bindings(&context.scope);
    bindings.set("i", item);
    PIPPIN_TRY(std::string name, name_argument(context, bindings, "create"));
    if (context.tensors.contains(name)) continue;
    PIPPIN_TRY(Shape shape, integers_argument(context, bindings, "shape"));
    PIPPIN_TRY(const Value value, argument(context, bindings, "value"));
    if (!value.is_number() || !checked_element_count(shape)) {
      return rule_error(context, ErrorTag::bad_spec, "create needs a number and a shape", name);
    }
    context.tensors.emplace(std::move(name), constant(value.get<double>(), dtype, std::move(shape)));
  }
  return {};
}

// w / (norm(w) + epsilon) in float32, back in the tensor's dtype.
Status normalise(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const int axis, axis_argument(context, bindings, match.tensor, -1));
    PIPPIN_TRY(const Value epsilon, argument(context, bindings, "epsilon"));
    const RecipePtr values = pippin::cast(match.tensor, DType::F32);
    PIPPIN_TRY(const RecipePtr norms, at_tensor(context, match.name, norm(values, axis)));
    const RecipePtr small = constant(epsilon.is_number() ? epsilon.get<double>() : 1e-7, DType::F32, {});
    PIPPIN_TRY(const RecipePtr divisor, at_tensor(context, match.name, arithmetic(Arithmetic::Op::add, norms, small)));
    PIPPIN_TRY(const RecipePtr unit,
               at_tensor(context, match.name, arithmetic(Arithmetic::Op::divide, values, divisor)));
    PIPPIN_CHECK(put(context, match, pippin::cast(unit, match.tensor->dtype)));
  }
  return {};
}

Status exponent(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    PIPPIN_TRY(RecipePtr value,
               at_tensor(context, match.name, pippin::exponent(pippin::cast(match.tensor, DType::F32))));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status dequantize_blocks(RuleContext& context) {
  PIPPIN_TRY(const DType dtype, dtype_argument(context, "dtype", DType::BF16));
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    PIPPIN_TRY(const std::string scale_name, name_argument(context, bindings, "scale"));
    if (!context.tensors.contains(scale_name)) continue;  // not quantized: nothing to undo
    PIPPIN_TRY(const int64_t rows, integer_argument(context, bindings, "rows", 128));
    PIPPIN_TRY(const int64_t columns, integer_argument(context, bindings, "columns", 128));
    const RecipePtr scale = take(context, scale_name);
    PIPPIN_TRY(RecipePtr value,
               at_tensor(context, match.name, pippin::dequantize_blocks(match.tensor, scale, rows, columns, dtype)));
    PIPPIN_CHECK(put(context, match, std::move(value)));
  }
  return {};
}

Status mla_split(RuleContext& context) {
  PIPPIN_TRY(const std::vector<RuleMatch> found, matches(context));
  for (const auto& match : found) {
    const Bindings bindings = bindings_of(context, match);
    MlaSizes sizes{};
    PIPPIN_TRY(sizes.heads, integer_argument(context, bindings, "heads", 0));
    PIPPIN_TRY(sizes.nope, integer_argument(context, bindings, "nope", 0));
    PIPPIN_TRY(sizes.v, integer_argument(context, bindings, "v", 0));
    PIPPIN_TRY(sizes.rank, integer_argument(context, bindings, "rank", 0));
    std::vector<std::string> to;
    for (const auto& one : context.rule.to) {
      PIPPIN_TRY(std::string name, one.fill(bindings));
      to.push_back(std::move(name));
    }
    const std::string suffix = ".weight";
    if (to.size() != 2 || !match.name.ends_with(suffix)) {
      return rule_error(context, ErrorTag::bad_spec, "mla_split takes a .weight and gives two modules", match.name);
    }
    const std::string path = match.name.substr(0, match.name.size() - suffix.size());
    if (context.tensors.contains(path + ".scales")) {
      PIPPIN_CHECK(split_packed(context, match, path, sizes, to));
      continue;
    }
    auto halves = split_heads(match.tensor, sizes);
    if (!halves)
      return rule_error(context, ErrorTag::mismatch, halves.error().rule, match.name + ": " + halves.error().value);
    context.tensors.erase(match.name);
    context.tensors.insert_or_assign(to[0] + suffix, std::move(halves->first));
    context.tensors.insert_or_assign(to[1] + suffix, std::move(halves->second));
  }
  return {};
}

}  // namespace pippin::verbs

#include "plan/int4_sources.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <fmt/format.h>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr int bits = 4;
constexpr int64_t codes_a_word = 32 / bits;
constexpr int64_t most_inputs = int64_t{1} << 24;
constexpr int64_t longest_group = 128;  // of MLX's

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorTag::unsupported, "AWQ and GPTQ sources have 4 bits and consecutive groups", what,
              "convert from the unquantized checkpoint");
}

class Repacker {
 public:
  Repacker(TensorMap& tensors, const Checkpoint& checkpoint, int group_size, bool keep_dense)
      : tensors_(tensors),
        checkpoint_(checkpoint),
        format_{QuantMode::affine, bits, group_size},
        keep_dense_(keep_dense) {}

  Status repack(const std::string& prefix) {
    const RecipePtr words = extract(prefix + "qweight");
    RecipePtr scales = extract(prefix + "scales");
    RecipePtr zeros = extract(prefix + "qzeros");
    const RecipePtr groups = extract(prefix + "g_idx");
    if (!scales || words->shape.size() != 2 || scales->shape.size() != 2)
      return refuse(prefix + "qweight without scales of two dimensions");
    const int64_t outputs = scales->shape[1];
    const bool gptq = words->shape[1] == outputs;
    const int64_t inputs = words->shape[0] * (gptq ? codes_a_word : 1);
    const int64_t stored_group = scales->shape[0] > 0 ? inputs / scales->shape[0] : 0;
    dtype = scales->dtype;
    if (groups) {
      PIPPIN_TRY(std::vector<int64_t> order, group_of_inputs(prefix, groups));
      if (!counts_groups(order, stored_group)) return requantize(prefix, gptq, {words, scales, zeros}, order);
    }
    // Groups longer than MLX's, up to whole rows, are several groups of one scale.
    const int64_t times = parts_of(stored_group);
    PIPPIN_TRY(scales, repeat(scales, 0, times));
    if (zeros) {
      PIPPIN_TRY(zeros, repeat(zeros, 0, times));
    }
    PIPPIN_TRY(tensors_[prefix + "weight"], gptq ? gptq_weight(words) : awq_weight(words));
    PIPPIN_TRY(const RecipePtr turned, transpose(scales, {1, 0}));
    PIPPIN_TRY(tensors_[prefix + "biases"], biases(zeros, turned, gptq));
    tensors_[prefix + "scales"] = turned;
    return {};
  }

  DType dtype = DType::F16;  // of the scales seen last
  size_t reordered = 0;      // layers with act-order

 private:
  RecipePtr extract(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return nullptr;
    RecipePtr tensor = found->second;
    tensors_.erase(found);
    return tensor;
  }

  static Result<RecipePtr> awq_weight(const RecipePtr& words) {
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(words, bits, true));
    PIPPIN_TRY(RecipePtr turned, transpose(codes, {1, 0}));
    return pack_codes(std::move(turned), bits);
  }

  // Eight inputs of one output in a word, lowest bits first: MLX's own order, but for the transpose.
  static Result<RecipePtr> gptq_weight(const RecipePtr& words) {
    PIPPIN_TRY(const RecipePtr unsigned_words, view(words, DType::U32));
    return transpose(unsigned_words, {1, 0});
  }

  // -zero * scale in float32, in the scales' dtype. Without zeros the codes are symmetric around 8.
  static Result<RecipePtr> biases(const RecipePtr& zeros, const RecipePtr& scales, bool gptq) {
    const RecipePtr wide = cast(scales, DType::F32);
    if (!zeros) {
      PIPPIN_TRY(RecipePtr product, arithmetic(Arithmetic::Op::multiply, wide, constant(-8, DType::F32, {})));
      return cast(std::move(product), scales->dtype);
    }
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(zeros, bits, !gptq));
    PIPPIN_TRY(const RecipePtr turned, transpose(codes, {1, 0}));
    RecipePtr value = cast(turned, DType::F32);
    if (gptq) {
      PIPPIN_TRY(value, arithmetic(Arithmetic::Op::add, value, constant(1, DType::F32, {})));
    }
    PIPPIN_TRY(const RecipePtr negative, arithmetic(Arithmetic::Op::multiply, value, constant(-1, DType::F32, {})));
    PIPPIN_TRY(RecipePtr product, arithmetic(Arithmetic::Op::multiply, negative, wide));
    return cast(std::move(product), scales->dtype);
  }

  Result<std::vector<int64_t>> group_of_inputs(const std::string& prefix, const RecipePtr& groups) const {
    const auto* source = std::get_if<FromSource>(&groups->op);
    const int64_t count = element_count(groups->shape);
    if (source == nullptr || groups->dtype != DType::I32 || count > most_inputs)
      return refuse(prefix + "g_idx is no list of I32");
    std::vector<int32_t> indices(static_cast<size_t>(count));
    PIPPIN_CHECK(
        checkpoint_.read(checkpoint_.tensors()[source->tensor], 0, std::as_writable_bytes(std::span(indices))));
    return std::vector<int64_t>(indices.begin(), indices.end());
  }

  static bool counts_groups(const std::vector<int64_t>& order, int64_t group) {
    for (size_t i = 0; i < order.size(); ++i) {
      if (group <= 0 || order[i] != static_cast<int64_t>(i) / group) return false;
    }
    return true;
  }

  static int64_t parts_of(int64_t group) {
    for (const int64_t size : {longest_group, int64_t{64}, int64_t{32}}) {
      if (group > longest_group && group % size == 0) return group / size;
    }
    return 1;
  }

  struct Packed {
    RecipePtr words, scales, zeros;
  };

  // Act-order: input i has the scale and zero point of group order[i]. (code - zero) * scale in float32, in the scales'
  // dtype, then quantized by MLX's groups.
  Status requantize(const std::string& prefix, bool gptq, const Packed& packed, const std::vector<int64_t>& order) {
    const int64_t inputs = packed.words->shape[0] * codes_a_word;
    if (!gptq || static_cast<int64_t>(order.size()) != inputs)
      return refuse(fmt::format("{}g_idx has {} places for {} inputs", prefix, order.size(), inputs));
    PIPPIN_TRY(const RecipePtr words, gptq_weight(packed.words));
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(words, bits, false));
    PIPPIN_TRY(const RecipePtr scales, by_input(packed.scales, order));
    PIPPIN_TRY(const RecipePtr zeros, by_input(packed.zeros, order, scales->shape));
    using Op = Arithmetic::Op;
    PIPPIN_TRY(const RecipePtr steps, arithmetic(Op::subtract, cast(codes, DType::F32), zeros));
    PIPPIN_TRY(const RecipePtr wide, arithmetic(Op::multiply, steps, cast(scales, DType::F32)));
    const RecipePtr dense = cast(wide, packed.scales->dtype);
    ++reordered;
    if (keep_dense_) {
      tensors_[prefix + "weight"] = dense;
      return {};
    }
    using Part = QuantizePart::Part;
    PIPPIN_TRY(tensors_[prefix + "weight"], quantize_part(format_, dense, Part::weight));
    PIPPIN_TRY(tensors_[prefix + "scales"], quantize_part(format_, dense, Part::scales));
    PIPPIN_TRY(tensors_[prefix + "biases"], quantize_part(format_, dense, Part::biases));
    return {};
  }

  // [groups, out] as [out, in].
  static Result<RecipePtr> by_input(const RecipePtr& values, const std::vector<int64_t>& order) {
    PIPPIN_TRY(const RecipePtr turned, transpose(values, {1, 0}));
    return pippin::take(turned, 1, order);
  }

  // The zero points in F32 for each input; 8 where there are none.
  static Result<RecipePtr> by_input(const RecipePtr& zeros, const std::vector<int64_t>& order, const Shape& shape) {
    if (!zeros) return constant(8, DType::F32, shape);
    PIPPIN_TRY(const RecipePtr codes, unpack_codes(zeros, bits, false));
    PIPPIN_TRY(const RecipePtr ordered, by_input(codes, order));
    return arithmetic(Arithmetic::Op::add, cast(ordered, DType::F32), constant(1, DType::F32, {}));
  }

  TensorMap& tensors_;
  const Checkpoint& checkpoint_;
  QuantFormat format_;
  bool keep_dense_;
};

// Whether a source tensor, cast or not, holds zeros alone.
Result<bool> is_zero(RecipePtr tensor, const Checkpoint& checkpoint) {
  while (std::holds_alternative<Cast>(tensor->op)) tensor = tensor->inputs[0];
  const auto* source = std::get_if<FromSource>(&tensor->op);
  if (source == nullptr || element_count(tensor->shape) > most_inputs) return false;
  const TensorInfo& info = checkpoint.tensors()[source->tensor];
  std::vector<std::byte> bytes(static_cast<size_t>(info.size));
  PIPPIN_CHECK(checkpoint.read(info, 0, bytes));
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

Result<Json> repack_int4(TensorMap& tensors, const Json& declared, const Checkpoint& checkpoint, bool keep_dense,
                         std::vector<std::string>& warnings) {
  const Json width = declared.value("bits", Json(bits));
  if (width != bits) return refuse(fmt::format("config.json: quantization_config.bits is {}", width.dump()));
  Json group_size = declared.value("group_size", Json(longest_group));
  const bool known = group_size.is_number_integer() && (group_size == -1 || group_size > 0);
  if (!known) return refuse(fmt::format("config.json: quantization_config.group_size is {}", group_size.dump()));
  if (group_size == -1 || group_size > longest_group) group_size = longest_group;
  const std::string suffix = ".qweight";
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(suffix)) prefixes.push_back(name.substr(0, name.size() - suffix.size() + 1));
  }
  Repacker repacker(tensors, checkpoint, group_size.get<int>(), keep_dense);
  for (const auto& prefix : prefixes) {
    PIPPIN_CHECK(repacker.repack(prefix));
  }
  if (repacker.reordered > 0) {
    warnings.push_back(fmt::format("{} GPTQ layers have act-order (desc_act), which MLX's layout cannot hold: {}",
                                   repacker.reordered,
                                   keep_dense ? "they were made dense" : "they were made dense and quantized again"));
  }
  for (auto& [name, tensor] : tensors) {
    if (!prefixes.empty() && is_floating(tensor->dtype)) tensor = cast(tensor, repacker.dtype);
  }
  return Json{{"group_size", group_size}, {"bits", bits}};
}

Status drop_zero_biases(const ModuleTree& tree, TensorMap& tensors, const Checkpoint& checkpoint,
                        std::vector<std::string>& warnings) {
  size_t dropped = 0;
  for (const MlxModule& module : tree.modules) {
    const auto bias = tensors.find(module.name_of("bias"));
    if (bias == tensors.end()) continue;
    const bool wanted = std::any_of(module.parameters.begin(), module.parameters.end(),
                                    [](const MlxParameter& parameter) { return parameter.name == "bias"; });
    if (wanted) continue;
    PIPPIN_TRY(const bool zero, is_zero(bias->second, checkpoint));
    if (!zero) continue;
    tensors.erase(bias);
    ++dropped;
  }
  if (dropped > 0) {
    warnings.push_back(
        fmt::format("{} GPTQ layers store a bias of zeros that the model does not have: left out", dropped));
  }
  return {};
}

}  // namespace pippin

#include "plan/packed_sources.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plan/packed_layers.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr QuantFormat nvfp4{QuantMode::nvfp4, 4, 16};
constexpr QuantFormat mxfp8{QuantMode::mxfp8, 8, 32};

constexpr std::string_view lm_global_scale = "global_scale";
constexpr std::array<std::string_view, 3> global_scales{"weight_global_scale", "weight_scale_2", lm_global_scale};

// Activation, cache and shape figures that no MLX module holds.
constexpr std::array<std::string_view, 7> without_use{".weight_shape", ".weight_zero_point", ".input_global_scale",
                                                      ".input_scale",  ".k_scale",           ".v_scale",
                                                      ".output_scale"};

RecipePtr take(TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return nullptr;
  RecipePtr tensor = found->second;
  tensors.erase(found);
  return tensor;
}

std::vector<std::string> prefixes_with(const TensorMap& tensors, const std::string& suffix) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(suffix)) result.push_back(name.substr(0, name.size() - suffix.size()));
  }
  return result;
}

void drop_useless(TensorMap& tensors) {
  std::erase_if(tensors, [](const auto& item) {
    return std::any_of(without_use.begin(), without_use.end(),
                       [&item](std::string_view suffix) { return item.first.ends_with(suffix); });
  });
}

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(ErrorTag::mismatch, "a packed layer has its weight and its scales", what,
              "check that the download is complete");
}

// Without the dimensions of length 1.
Result<RecipePtr> squeezed(const RecipePtr& tensor) {
  Shape shape;
  std::copy_if(tensor->shape.begin(), tensor->shape.end(), std::back_inserter(shape), [](int64_t d) { return d != 1; });
  return reshape(tensor, shape);
}

// fp8 bytes times a scale a row, a tensor or a block: dense in the scale's dtype, BF16 where that is F32.
Result<RecipePtr> dense_fp8(const std::string& prefix, const RecipePtr& weight, const RecipePtr& scale,
                            const Json& blocks) {
  if (!weight || weight->dtype != DType::U8 || weight->shape.size() < 2 || !is_floating(scale->dtype)) {
    return malformed(prefix + ".weight is no matrix of fp8 bytes with a floating scale");
  }
  const DType result = scale->dtype == DType::F32 ? DType::BF16 : scale->dtype;
  if (blocks.is_array() && blocks.size() == 2 && blocks[0].is_number_integer() && blocks[1].is_number_integer()) {
    const RecipePtr wide = cast(scale, DType::F32);
    return dequantize_blocks(weight, wide, blocks[0].get<int64_t>(), blocks[1].get<int64_t>(), result);
  }
  RecipePtr rows = scale;
  if (scale->shape.size() == 1 && scale->shape[0] != 1) {
    PIPPIN_TRY(rows, reshape(scale, {scale->shape[0], 1}));
  }
  PIPPIN_TRY(const RecipePtr bytes, view(weight, DType::F8_E4M3));
  PIPPIN_TRY(RecipePtr product, arithmetic(Arithmetic::Op::multiply, cast(bytes, DType::F32), cast(rows, DType::F32)));
  return cast(std::move(product), result);
}

// Weights joined shard by shard have more scales than blocks: they are left to the model's rules.
bool one_scale_a_block(const TensorMap& tensors, const std::string& prefix) {
  const auto weight = tensors.find(prefix + ".weight");
  const Shape& scales = tensors.at(prefix + ".weight_scale_inv")->shape;
  if (weight == tensors.end() || weight->second->shape.size() != 2 || scales.size() != 2) return true;
  const Shape& shape = weight->second->shape;
  return scales[0] <= (shape[0] + 127) / 128 && scales[1] <= (shape[1] + 127) / 128;
}

Json weights_of_group(const Json& declared, std::string_view format) {
  const Json groups = declared.value("config_groups", Json::object());
  for (const auto& [name, group] : groups.items()) {
    if (!group.is_object() || !group.contains("weights") || !group["weights"].is_object()) continue;
    if (group.value("format", declared.value("format", Json(""))) == format) return group["weights"];
  }
  return Json::object();
}

Status unpack_int4(TensorMap& tensors, const std::string& prefix, int bits) {
  const RecipePtr words = take(tensors, prefix + ".weight_packed");
  const RecipePtr scale = take(tensors, prefix + ".weight_scale");
  if (!scale || !is_floating(scale->dtype)) return malformed(prefix + ".weight_packed without a floating weight_scale");
  PIPPIN_TRY(tensors[prefix + ".weight"], view(words, DType::U32));
  tensors[prefix + ".scales"] = scale;
  PIPPIN_TRY(
      tensors[prefix + ".biases"],
      arithmetic(Arithmetic::Op::multiply, scale, constant(-static_cast<double>(1 << (bits - 1)), scale->dtype, {})));
  return {};
}

Status unpack_nvfp4(TensorMap& tensors, const std::string& prefix, const std::string& weight_name,
                    const std::string& global_name) {
  const RecipePtr bytes = take(tensors, prefix + weight_name);
  const RecipePtr scale = take(tensors, prefix + ".weight_scale");
  if (!bytes || !scale || scale->dtype != DType::U8)
    return malformed(prefix + weight_name + " without a weight_scale of fp8 bytes");
  PIPPIN_TRY(tensors[prefix + ".weight"], view(bytes, DType::U32));
  tensors[prefix + ".scales"] = scale;
  PIPPIN_TRY(tensors[prefix + global_name], squeezed(cast(tensors.at(prefix + global_name), DType::F32)));
  return {};
}

}  // namespace

Result<Json> unpack_compressed_tensors(TensorMap& tensors, const Json& declared) {
  const Json int4 = weights_of_group(declared, "pack-quantized");
  const Json fp8 = weights_of_group(declared, "float-quantized");
  const QuantFormat affine{QuantMode::affine,
                           int4.value("num_bits", Json(4)).is_number_integer() ? int4.value("num_bits", 4) : 4,
                           int4.value("group_size", Json(32)).is_number_integer() ? int4.value("group_size", 32) : 32};
  Json quantization = nullptr;
  for (const auto& prefix : prefixes_with(tensors, ".weight_packed")) {
    const bool scaled_twice = tensors.contains(prefix + ".weight_global_scale");
    const Json format = entry_of(scaled_twice ? nvfp4 : affine);
    if (!quantization.is_null() && quantization != format) {
      return fail(ErrorTag::unsupported, "the packed layers of one checkpoint have one format",
                  prefix + " differs from those before", "convert from the unquantized checkpoint");
    }
    quantization = format;
    if (!scaled_twice) PIPPIN_CHECK(check(affine));
    PIPPIN_CHECK(scaled_twice ? unpack_nvfp4(tensors, prefix, ".weight_packed", ".weight_global_scale")
                              : unpack_int4(tensors, prefix, affine.bits));
  }
  for (const auto& prefix : prefixes_with(tensors, ".weight_scale")) {
    const RecipePtr scale = take(tensors, prefix + ".weight_scale");
    PIPPIN_TRY(RecipePtr dense, dense_fp8(prefix, take(tensors, prefix + ".weight"), scale,
                                          fp8.value("block_structure", Json(nullptr))));
    tensors[prefix + ".weight"] = std::move(dense);
  }
  drop_useless(tensors);
  return quantization;
}

Result<Json> unpack_modelopt(TensorMap& tensors) {
  Json quantization = nullptr;
  for (const auto& prefix : prefixes_with(tensors, ".weight_scale_2")) {
    PIPPIN_CHECK(unpack_nvfp4(tensors, prefix, ".weight", ".weight_scale_2"));
    quantization = entry_of(nvfp4);
  }
  for (const auto& prefix : prefixes_with(tensors, ".weight_scale")) {
    const RecipePtr scale = take(tensors, prefix + ".weight_scale");
    PIPPIN_TRY(RecipePtr dense, dense_fp8(prefix, take(tensors, prefix + ".weight"), scale, nullptr));
    tensors[prefix + ".weight"] = std::move(dense);
  }
  drop_useless(tensors);
  return quantization;
}

Result<Json> requantize_fp8_blocks(TensorMap& tensors) {
  for (const auto& prefix : prefixes_with(tensors, ".weight_scale_inv")) {
    if (!one_scale_a_block(tensors, prefix)) continue;
    const RecipePtr scale = take(tensors, prefix + ".weight_scale_inv");
    const RecipePtr weight = take(tensors, prefix + ".weight");
    if (!weight) return malformed(prefix + ".weight_scale_inv without a weight");
    const DType dtype = scale->dtype == DType::F32 ? DType::F32 : DType::BF16;
    PIPPIN_TRY(const RecipePtr dense, dequantize_blocks(weight, scale, 128, 128, dtype));
    PIPPIN_TRY(tensors[prefix + ".weight"], quantize_part(mxfp8, dense, QuantizePart::Part::weight));
    PIPPIN_TRY(tensors[prefix + ".scales"], quantize_part(mxfp8, dense, QuantizePart::Part::scales));
  }
  return entry_of(mxfp8);
}

bool is_global_scale(std::string_view parameter) {
  return std::find(global_scales.begin(), global_scales.end(), parameter) != global_scales.end();
}

bool add_global_scales(ModuleTree& tree, const TensorMap& tensors, Target target) {
  std::set<size_t> touched;
  for (size_t index = 0; index < tree.modules.size(); ++index) {
    MlxModule& module = tree.modules[index];
    for (const std::string_view name : global_scales) {
      const bool of_experts = name == lm_global_scale;
      const bool known = of_experts == (target == Target::mlx_lm) && (!of_experts || module.kind == "switch_linear");
      const auto scale = tensors.find(module.name_of(std::string(name)));
      if (!module.quantizable || !known || scale == tensors.end()) continue;
      module.parameters.push_back(
          {std::string(name), of_experts ? Shape{module.parameters[0].shape[0]} : scale->second->shape});
      touched.insert(index);
    }
  }
  std::vector<std::pair<size_t, size_t>> order;
  for (const auto& [index, parameter] : tree.order) {
    order.emplace_back(index, parameter);
    if (parameter == 0 && touched.contains(index)) order.emplace_back(index, tree.modules[index].parameters.size() - 1);
  }
  tree.order = std::move(order);
  return !touched.empty();
}

}  // namespace pippin

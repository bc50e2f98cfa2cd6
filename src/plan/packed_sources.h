// Packed checkpoints as mlx-vlm's loader takes them, before the weight rules: compressed-tensors, ModelOpt, block fp8.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/request.h"
#include "spec/module_tree.h"
#include "spec/tensor_map.h"

namespace pippin {

// compressed-tensors, by the tensors that each layer has: weight_packed + weight_scale is int4 around 8 (affine);
// with weight_global_scale it is nvfp4; weight + weight_scale is fp8 by row or block, made dense in the scale's dtype
// (F32: BF16). Gives the MLX quantization of what stays packed, or null.
Result<nlohmann::ordered_json> unpack_compressed_tensors(TensorMap& tensors, const nlohmann::ordered_json& declared);

// NVIDIA ModelOpt: weight + weight_scale + weight_scale_2 is nvfp4; weight + weight_scale alone is fp8, made dense.
Result<nlohmann::ordered_json> unpack_modelopt(TensorMap& tensors);

// fp8 weights with weight_scale_inv for blocks of 128 x 128, quantized anew as mxfp8; not those with more scales than
// blocks.
Result<nlohmann::ordered_json> requantize_fp8_blocks(TensorMap& tensors);

// nvfp4 layers may have a scale for the whole tensor, or for each expert, which becomes a parameter of the module. In
// mlx-vlm: weight_global_scale (divides) or weight_scale_2 (multiplies); in mlx-lm global_scale, of experts only, which
// is 2688 times the factor. True where there are any.
bool add_global_scales(ModuleTree& tree, const TensorMap& tensors, Target target);
bool is_global_scale(std::string_view parameter);

}  // namespace pippin

// Source checkpoints in low precision, as the loaders understand them by quantization_config. Written once here; what
// only one architecture's files hold stands in its spec.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/request.h"
#include "source/checkpoint.h"
#include "spec/module_tree.h"
#include "spec/tensor_map.h"

namespace pippin {

// An error (unsupported) that names the field where quantization_config tells of a format that pippin does not read.
// `declared` may be null. MLX's own ("quantization" in the config) is always known.
Status check_known(const nlohmann::ordered_json& declared, const nlohmann::ordered_json& config);

// mlx-vlm's loader: rewrites packed tensors before the weight rules. Gives the MLX quantization that then describes
// them (global format and entries), or null; the config itself is not touched.
// `declared` may be null; then hf_quant_config.json, which ModelOpt writes, may tell.
Result<nlohmann::ordered_json> unpack_before_rules(TensorMap& tensors, const nlohmann::ordered_json& config,
                                                   nlohmann::ordered_json declared,
                                                   const nlohmann::ordered_json& hf_quant_config);

// mlx-lm's loader: after the weight rules; sets config["quantization"] and ["quantization_config"] where it takes the
// source's packing over. Gives config["quantization"], or null.
Result<nlohmann::ordered_json> unpack_after_rules(TensorMap& tensors, nlohmann::ordered_json& config,
                                                  const Checkpoint& checkpoint, const PlanRequest& request,
                                                  std::vector<std::string>& warnings);

// mlx-lm: with quant_method "bitnet" every linear module but those in modules_to_not_convert is a ternary one: weight
// U8 [ceil(out / 4), in] and weight_scale [1], never quantized further.
void make_ternary(ModuleTree& tree, const nlohmann::ordered_json& config);

}  // namespace pippin

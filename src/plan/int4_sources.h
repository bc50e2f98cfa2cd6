// AWQ and GPTQ checkpoints: 4-bit codes in other orders, repacked into MLX's layout.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "source/checkpoint.h"
#include "spec/module_tree.h"
#include "spec/tensor_map.h"

namespace pippin {

// Rewrites every X.qweight (with X.scales, X.qzeros, X.g_idx) to X.weight, X.scales, X.biases; floating tensors take
// the scales' dtype, as with mlx-lm. Gives the MLX quantization. By the shapes:
//   AWQ   qweight [in, out / 8], codes across the outputs in AWQ's order; scales [groups, out]
//   GPTQ  qweight [in / 8, out], codes down the inputs; zero points are stored less one
// Groups longer than 128 (-1: whole rows) become several with one scale. A g_idx that only counts groups is dropped:
// repacking is exact. One of act-order, which MLX's layout has no place
// for, makes the layer dense; it is quantized again with the same bits and group size, and a warning says so, or stays
// dense with keep_dense. Widths but 4 bits are refused. g_idx, and the biases of drop_zero_biases(), are the only
// tensors whose bytes a plan looks at.
Result<nlohmann::ordered_json> repack_int4(TensorMap& tensors, const nlohmann::ordered_json& declared,
                                           const Checkpoint& checkpoint, bool keep_dense,
                                           std::vector<std::string>& warnings);

// AutoGPTQ stores a bias for every layer, zeros where the model has none. Drops those for which the tree has no bias,
// if every value is zero, with one warning; others stay, for the strict check to name.
Status drop_zero_biases(const ModuleTree& tree, TensorMap& tensors, const Checkpoint& checkpoint,
                        std::vector<std::string>& warnings);

}  // namespace pippin

// Which layers of a source are quantized already, and how.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/request.h"
#include "quantize/mode.h"
#include "spec/module_tree.h"
#include "spec/spec.h"
#include "spec/tensor_map.h"

namespace pippin {

// A format from a config entry: mode "affine" where it has none, the mode's defaults where bits or group size are
// absent or null. where: the entry's path for messages.
Result<QuantFormat> format_of(const nlohmann::ordered_json& entry, const std::string& where);

// The entry of a format: {"group_size", "bits", "mode"}.
nlohmann::ordered_json entry_of(const QuantFormat& format);

// Adds what the spec says of packed layers to `quantization`, where that (from the loader; may be null) says something
// else: an entry for each module that has scales and whose shapes fit the rule.
Status add_packed_rules(const Spec& spec, const ModuleTree& tree, const TensorMap& tensors,
                        nlohmann::ordered_json& quantization);

// How the loader of the target would take the module, given the config's `quantization`: by the module's own entry, or
// by the scales that are there (mlx-lm infers the format from the shapes, mlx-vlm takes the global one).
Result<std::optional<QuantFormat>> packed_format(const MlxModule& module, const TensorMap& tensors,
                                                 const nlohmann::ordered_json& quantization, Target target);

// The shapes of a packed module's weight, scales and biases from the dense weight's shape.
struct PackedShapes {
  Shape weight, scales;
};
PackedShapes packed_shapes(const Shape& dense, const QuantFormat& format);

}  // namespace pippin

// The strict load: tensors and parameters must agree in names and shapes.
#pragma once

#include <optional>
#include <vector>

#include "pippin/error.h"
#include "quantize/mode.h"
#include "spec/module_tree.h"
#include "spec/tensor_map.h"

namespace pippin {

// An error (mismatch) that lists every missing, unexpected and misshapen tensor; nothing where all is well.
Status check_strictly(const ModuleTree& tree, const std::vector<std::optional<QuantFormat>>& packed,
                      const TensorMap& tensors);

// A parameter as it is stored: the weight of a packed module is three.
struct StoredParameter {
  std::string name;
  Shape shape;
};
std::vector<StoredParameter> stored_parameters(const MlxModule& module, size_t parameter,
                                               const std::optional<QuantFormat>& packed);

}  // namespace pippin

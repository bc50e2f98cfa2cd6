// What precision each module of the output gets: casts, quantization, dequantization, and what config.json says of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/loaded_model.h"
#include "plan/request.h"

namespace pippin {

enum class Treatment : uint8_t {
  keep,        // as it is: dense stays dense, packed stays packed
  quantize,    // dense to packed, or packed to packed anew (requantize)
  dequantize,  // packed to dense
};

struct ModulePrecision {
  Treatment treatment = Treatment::keep;
  QuantFormat format;  // of the result, where it is quantized by this conversion
};

struct Precision {
  std::vector<ModulePrecision> modules;  // as the tree's
  std::optional<DType> dtype;            // floating parameters are cast to it, but for the spec's keep_dtype
  bool packed_undeclared = false;        // see Plan
  nlohmann::ordered_json config;         // the model's config with its quantization entries
  std::vector<std::string> warnings;
};

Result<Precision> choose_precision(const LoadedModel& model, const PlanRequest& request);

// Whether mlx-vlm keeps the module path out of quantization because it is a vision or audio part.
bool is_multimodal(const std::string& path, const PlanRequest& request);

}  // namespace pippin

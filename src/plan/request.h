// What the user asks of a conversion, as far as the plan is concerned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pippin/dtype.h"
#include "plan/mixed_recipe.h"
#include "quantize/mode.h"
#include "spec/name_pattern.h"

namespace pippin {

// Whose output is wanted; the two reference converters have their own rules.
enum class Target : uint8_t { mlx_lm, mlx_vlm };

std::string_view name_of(Target target);    // "mlx-lm"
std::string_view folder_of(Target target);  // "mlx_lm", the folder of its specs and recipes

// A user's own word on some modules; the first that matches a path holds.
struct ModuleOverride {
  NamePattern modules;
  std::optional<QuantFormat> format;  // none: keep them unquantized
};

struct PlanRequest {
  Target target = Target::mlx_lm;
  bool quantize = false;
  bool dequantize = false;
  bool requantize = false;  // layers that are quantized already are dequantized and quantized anew
  std::optional<int> bits;
  std::optional<int> group_size;
  QuantMode mode = QuantMode::affine;
  std::shared_ptr<const MixedRecipe> recipe;
  std::optional<DType> dtype;
  std::vector<ModuleOverride> overrides;
  bool quantize_vision = false;  // mlx-vlm keeps vision and audio modules out; these let them in
  bool quantize_audio = false;
  Rounding rounding = Rounding::metal;
  bool allow_nonfinite = false;
  bool to_run = false;  // the model is not written, but runs
  uint64_t memory_budget = uint64_t{256} << 20;
  uint64_t shard_limit = uint64_t{5} << 30;  // bytes of tensors in one file
  std::string version;                       // for the stamp
};

}  // namespace pippin

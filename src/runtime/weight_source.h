// Where a running model's weights come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mlx/array.h>

#include "pippin/error.h"
#include "quantize/mode.h"
#include "spec/spec_scope.h"

namespace pippin {

class WeightSource {
 public:
  WeightSource() = default;
  WeightSource(const WeightSource&) = delete;
  WeightSource& operator=(const WeightSource&) = delete;
  virtual ~WeightSource() = default;

  [[nodiscard]] virtual bool has(std::string_view name) const = 0;
  // The tensor of that MLX name, not yet evaluated where that can be put off. Errors: mismatch where there is none.
  [[nodiscard]] virtual Result<mlx::core::array> load(const std::string& name) const = 0;
  // How the module is packed. Asked only of modules that have scales.
  [[nodiscard]] virtual QuantFormat packing(const std::string& module) const = 0;
  // Whether a ternary module's numbers are divided by its scale. Asked only of modules that have a weight_scale.
  [[nodiscard]] virtual bool divides_by_scale(const std::string& /*module*/) const { return false; }
  // Bytes of all tensors as they will lie in memory.
  [[nodiscard]] virtual uint64_t bytes() const = 0;
};

// A folder's weights and the scope of its spec over its config.
struct OpenedModel {
  std::unique_ptr<WeightSource> weights;
  std::unique_ptr<SpecScope> scope;
};

// A folder in MLX format, or a published checkpoint, as mlx_lm.load opens it. Tensors that the model has as they lie in
// the files are not read: with `resident` (for the CPU) they are the files' bytes, read into memory as they are;
// otherwise MLX reads them when they are first used. All others are computed by the conversion's recipes when they are
// loaded. The library must outlive the model.
// check_memory: an error (no_space) before any tensor is read where the weights do not fit into the memory there is.
Result<OpenedModel> open_weights(const std::filesystem::path& folder, const SpecLibrary& library, const SpecPtr& spec,
                                 bool resident, bool check_memory);

}  // namespace pippin

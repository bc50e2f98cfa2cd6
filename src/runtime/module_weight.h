// A module's weight, dense or packed, and products with it.
#pragma once

#include <optional>
#include <string>

#include <mlx/array.h>

#include "quantize/mode.h"
#include "runtime/weight_source.h"

namespace pippin {

// weight [.., out, in], or packed with scales and, in affine mode, biases.
struct ModuleWeight {
  mlx::core::array weight;
  std::optional<mlx::core::array> scales;
  std::optional<mlx::core::array> biases;
  std::optional<mlx::core::array> bias;  // [.., out]
  QuantFormat packing;
  std::optional<mlx::core::array> global_scale{};  // nvfp4 experts: float32 [experts], the largest value of each

  // Throws Fault where tensors are missing or do not fit to each other.
  static ModuleWeight load(const WeightSource& weights, const std::string& module);

  // x W^T, without the bias; x [.., in].
  [[nodiscard]] mlx::core::array product(const mlx::core::array& x, bool transpose = true) const;
  // Rows by number, dense.
  [[nodiscard]] mlx::core::array rows(const mlx::core::array& ids) const;
  // The packing's mode by MLX's name.
  [[nodiscard]] std::string mode() const { return std::string(row_of(packing.mode).name); }
  // What a packed expert's products are times besides, float32 of the experts' shape. Only where there is a
  // global_scale.
  [[nodiscard]] mlx::core::array expert_factors(const mlx::core::array& experts) const;
  // Logical extent of the last axis.
  [[nodiscard]] int columns() const;
};

}  // namespace pippin

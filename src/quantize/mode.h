// Quantization formats as MLX defines them, one table row a mode.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pippin/dtype.h"
#include "pippin/error.h"

namespace pippin {

enum class QuantMode : uint8_t { affine, mxfp4, mxfp8, nvfp4 };

// Which MLX backend's arithmetic to follow. Metal's is the default on every platform: models made on a Mac have it.
enum class Rounding : uint8_t { metal, cpu };

// How a quantized matrix is packed: `bits` a value, one scale (and in affine mode one bias) for `group_size`
// consecutive values of a row.
struct QuantFormat {
  QuantMode mode = QuantMode::affine;
  int bits = 4;
  int group_size = 64;
  friend bool operator==(const QuantFormat&, const QuantFormat&) = default;
};

// What a mode allows. Affine scales and biases have the dtype of the source weights; the others have U8 scales
// (E8M0 in the mx modes, E4M3 in nvfp4) and no biases.
struct QuantModeRow {
  QuantMode mode;
  std::string_view name;
  int default_bits;
  int default_group_size;
  std::span<const int> bits;         // allowed
  std::span<const int> group_sizes;  // allowed
  bool has_biases;
};

std::span<const QuantModeRow> quant_modes();
const QuantModeRow& row_of(QuantMode mode);
std::optional<QuantMode> quant_mode_of(std::string_view name);

// An error (tag usage) where bits or group size are not among the mode's.
Status check(const QuantFormat& format);

}  // namespace pippin

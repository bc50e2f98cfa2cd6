#include "runtime/ternary_weight.h"

#include <vector>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int per_byte = 4;
constexpr int per_word = 16;

int group_for(int columns) {
  for (const int size : {128, 64, 32}) {
    if (columns % size == 0) return size;
  }
  return 0;
}

mx::array words_of(const mx::array& packed) {
  const int rows = packed.shape(0);
  const int words = packed.shape(1) / per_word;
  std::vector<uint32_t> result(static_cast<size_t>(rows) * per_byte * static_cast<size_t>(words));
  const auto* bytes = packed.data<uint8_t>();
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    for (size_t k = 0; k < static_cast<size_t>(words); ++k, bytes += per_word) {
      for (size_t field = 0; field < per_byte; ++field) {
        uint32_t word = 0;
        for (uint32_t j = 0; j < per_word; ++j) word |= ((uint32_t{bytes[j]} >> (2 * field)) & 3U) << (2 * j);
        result[(field * static_cast<size_t>(rows) + row) * static_cast<size_t>(words) + k] = word;
      }
    }
  }
  return mx::array(result.begin(), {rows * per_byte, words}, mx::uint32);
}

mx::array dense(const mx::array& packed, const mx::array& scale) {
  std::vector<mx::array> parts;
  parts.reserve(per_byte);
  for (int field = 0; field < per_byte; ++field)
    parts.push_back(mx::bitwise_and(mx::right_shift(packed, mx::array(2 * field, mx::uint8)), mx::array(3, mx::uint8)));
  const mx::array numbers = mx::astype(mx::concatenate(parts, 0), scale.dtype());
  return mx::multiply(mx::subtract(numbers, mx::array(1.0F, scale.dtype())), scale);
}

}  // namespace

ModuleWeight unpack_ternary(const mx::array& packed, const mx::array& scale, bool divide, const std::string& module) {
  if (packed.dtype() != mx::uint8 || packed.ndim() != 2 || scale.size() != 1)
    throw Fault(
        {ErrorTag::mismatch, "a ternary layer has rows of bytes and one scale", module, "convert it again", {}});
  const mx::array wide = mx::astype(mx::reshape(scale, {}), mx::float32);
  const mx::array factor = mx::astype(divide ? mx::reciprocal(wide) : wide, scale.dtype());
  mx::array bytes = mx::contiguous(packed);
  bytes.eval();
  const int group = group_for(bytes.shape(1));
  if (group == 0) {
    mx::array weight = dense(bytes, factor);
    weight.eval();
    return {weight, std::nullopt, std::nullopt, std::nullopt, {}};
  }
  const mx::Shape shape{bytes.shape(0) * per_byte, bytes.shape(1) / group};
  mx::array scales = mx::contiguous(mx::broadcast_to(factor, shape));
  mx::array biases = mx::negative(scales);
  mx::eval(scales, biases);
  QuantFormat format;
  format.mode = QuantMode::affine;
  format.bits = 2;
  format.group_size = group;
  return {words_of(bytes), scales, biases, std::nullopt, format};
}

}  // namespace pippin

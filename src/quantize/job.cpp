#include "quantize/kernels.h"

#include <type_traits>

namespace pippin {
namespace {

template <typename Pointer>
Pointer advanced(Pointer base, int64_t bytes) {
  if (base == nullptr) return base;
  using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const char, char>;
  return static_cast<Byte*>(base) + bytes;
}

}  // namespace

QuantizeJob QuantizeJob::slice(int64_t first, int64_t count) const {
  const auto element = static_cast<int64_t>(size_of(dtype));
  const int64_t scale = format.mode == QuantMode::affine ? element : 1;
  QuantizeJob some = *this;
  some.groups = count;
  some.values = advanced(values, first * format.group_size * element);
  some.packed = advanced(packed, first * format.group_size * format.bits / 8);
  some.scales = advanced(scales, first * scale);
  some.biases = advanced(biases, first * scale);
  return some;
}

DequantizeJob DequantizeJob::slice(int64_t first, int64_t count) const {
  const int64_t scale = format.mode == QuantMode::affine ? static_cast<int64_t>(size_of(scale_dtype)) : 1;
  DequantizeJob some = *this;
  some.groups = count;
  some.packed = advanced(packed, first * format.group_size * format.bits / 8);
  some.scales = advanced(scales, first * scale);
  some.biases = advanced(biases, first * scale);
  some.out = advanced(out, first * format.group_size * static_cast<int64_t>(size_of(out_dtype)));
  return some;
}

}  // namespace pippin

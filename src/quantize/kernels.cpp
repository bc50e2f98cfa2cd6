#include "quantize/kernels.h"

#include "quantize/reference.h"

namespace pippin {
namespace {

template <typename Pointer>
Pointer advanced(Pointer base, int64_t bytes) {
  if (base == nullptr) return base;
  using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const char, char>;
  return static_cast<Byte*>(base) + bytes;
}

}  // namespace

QuantizeJob QuantizeJob::group(int64_t index) const {
  const auto element = static_cast<int64_t>(size_of(dtype));
  const int64_t scale = format.mode == QuantMode::affine ? element : 1;
  QuantizeJob one = *this;
  one.groups = 1;
  one.values = advanced(values, index * format.group_size * element);
  one.packed = advanced(packed, index * format.group_size * format.bits / 8);
  one.scales = advanced(scales, index * scale);
  one.biases = advanced(biases, index * scale);
  return one;
}

DequantizeJob DequantizeJob::group(int64_t index) const {
  const int64_t scale = format.mode == QuantMode::affine ? static_cast<int64_t>(size_of(scale_dtype)) : 1;
  DequantizeJob one = *this;
  one.groups = 1;
  one.packed = advanced(packed, index * format.group_size * format.bits / 8);
  one.scales = advanced(scales, index * scale);
  one.biases = advanced(biases, index * scale);
  one.out = advanced(out, index * format.group_size * static_cast<int64_t>(size_of(out_dtype)));
  return one;
}

std::span<const QuantizeKernels> quantize_kernels() {
  static constexpr QuantizeKernels scalar{"SCALAR", reference_quantize, reference_dequantize};
  return {&scalar, 1};
}

const QuantizeKernels& chosen_quantize_kernels() { return quantize_kernels().front(); }

}  // namespace pippin

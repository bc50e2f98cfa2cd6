// Affine modes: value = code * scale + bias, where the scale is chosen so that zero has a code.
#include <limits>

#include "quantize/arithmetic.h"
#include "quantize/reference.h"
#include "tensor/element.h"

namespace pippin {
namespace {

constexpr float least_scale = 1e-7f;

struct Range {
  float least;
  float greatest;
};

struct ScaleAndBias {
  float scale;
  float bias;
};

// NaN is passed over. Metal starts the greatest value at 0, so there it is never negative.
template <DType D>
Range range_of(const void* values, int group_size, Rounding rounding) {
  const float infinity = std::numeric_limits<float>::infinity();
  Range range{infinity, rounding == Rounding::metal ? 0.0f : -infinity};
  for (int i = 0; i < group_size; ++i) {
    const float value = Element<D>::load(read_at<typename Element<D>::Storage>(values, i));
    if (value < range.least) range.least = value;
    if (value > range.greatest) range.greatest = value;
  }
  return range;
}

// Metal's max() passes over NaN, the C++ library's keeps it.
float at_least_least_scale(float scale, Rounding rounding) {
  if (rounding == Rounding::metal) return scale > least_scale ? scale : least_scale;
  return scale < least_scale ? least_scale : scale;
}

float rounded(float value, Rounding rounding) {
  return rounding == Rounding::metal ? std::round(value) : std::nearbyint(value);
}

ScaleAndBias scale_and_bias(Range range, int bits, Rounding rounding) {
  const float span = subtract(range.greatest, range.least);
  if (bits == 1) return {at_least_least_scale(span, rounding), range.least};

  const auto steps = static_cast<float>((1 << bits) - 1);
  const bool from_least = std::abs(range.least) > std::abs(range.greatest);
  float scale = at_least_least_scale(divide(span, steps), rounding);
  if (!from_least) scale = -scale;
  // The edge that is further from zero becomes the bias, and an integer number of steps leads from it to zero.
  const float edge = from_least ? range.least : range.greatest;
  const float steps_to_zero = rounded(divide(edge, scale), rounding);
  if (steps_to_zero == 0) return {scale, 0.0f};
  return {divide(edge, steps_to_zero), edge};
}

uint32_t code_of(float value, ScaleAndBias by, float steps, Rounding rounding) {
  const float code = rounded(divide(subtract(value, by.bias), by.scale), rounding);
  if (!(code > 0)) return 0;  // and NaN
  return static_cast<uint32_t>(code < steps ? code : steps);
}

template <DType D>
void quantize_groups(const QuantizeJob& job) {
  using Storage = typename Element<D>::Storage;
  const auto [mode, bits, group_size] = job.format;
  const auto steps = static_cast<float>((1 << bits) - 1);
  CodeWriter codes(job.packed, bits);
  for (int64_t g = 0; g < job.groups; ++g) {
    const Storage* values = static_cast<const Storage*>(job.values) + g * group_size;
    const ScaleAndBias by = scale_and_bias(range_of<D>(values, group_size, job.rounding), bits, job.rounding);
    write_at(job.scales, g, Element<D>::store(by.scale));
    write_at(job.biases, g, Element<D>::store(by.bias));
    for (int i = 0; i < group_size; ++i) {
      codes.put(code_of(Element<D>::load(read_at<Storage>(values, i)), by, steps, job.rounding));
    }
  }
}

// Product and sum each round to the dtype.
template <DType D>
void dequantize_groups(const DequantizeJob& job) {
  using Storage = typename Element<D>::Storage;
  const auto in_dtype = [](float value) { return Element<D>::load(Element<D>::store(value)); };
  const int group_size = job.format.group_size;
  CodeReader codes(job.packed, job.format.bits);
  for (int64_t g = 0; g < job.groups; ++g) {
    const float scale = Element<D>::load(read_at<Storage>(job.scales, g));
    const float bias = Element<D>::load(read_at<Storage>(job.biases, g));
    for (int i = 0; i < group_size; ++i) {
      const float product = in_dtype(multiply(static_cast<float>(codes.take()), scale));
      write_at(job.out, g * group_size + i, Element<D>::store(add(product, bias)));
    }
  }
}

}  // namespace

void reference_quantize_affine(const QuantizeJob& job) {
  for_dtype(job.dtype, [&job]<DType D>() { quantize_groups<D>(job); });
}

void reference_dequantize_affine(const DequantizeJob& job) {
  for_dtype(job.scale_dtype, [&job]<DType D>() { dequantize_groups<D>(job); });
}

}  // namespace pippin

// Floating modes: a group's values are E2M1 (4 bits) or E4M3 (8 bits) numbers times one scale. mxfp4 and mxfp8 have a
// power of two as scale (E8M0), nvfp4 an E4M3 number. The scale makes the group's largest value about the largest code.
#include <array>

#include "quantize/arithmetic.h"
#include "quantize/reference.h"
#include "tensor/element.h"

namespace pippin {
namespace {

// E2M1: 1 sign, 2 exponent (bias 1), 1 mantissa bit; the codes' values in order.
constexpr std::array<float, 16> e2m1_values{0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                            -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

struct Scale {
  uint8_t byte;  // as stored
  float value;   // as computed with
};

// The exponent of the smallest power of two not below x, for a finite x > 0.
int exponent_not_below(float x) {
  int exponent;
  const float mantissa = std::frexp(x, &exponent);  // in [0.5, 1)
  return mantissa > 0.5f ? exponent : exponent - 1;
}

// float to an integer type as x86 converts it: what does not fit int32 is its least value, then the low bits count.
int32_t int32_of(float x) {
  return x >= -0x1p31f && x < 0x1p31f ? static_cast<int32_t>(x) : std::numeric_limits<int32_t>::min();
}

// Metal: everything in float.
namespace metal {

uint8_t e2m1_code(float x) {
  if (std::isnan(x)) return 7;
  const float a = std::abs(x);
  const int magnitude = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) + (a > 5.0f);
  return static_cast<uint8_t>(magnitude | (std::signbit(x) ? 8 : 0));
}

Scale power_of_two(float x) {
  if (!std::isfinite(x)) return {0xFF, std::numeric_limits<float>::infinity()};
  if (x == 0) return {0, 0x1p-127f};
  const int exponent = std::max(-127, exponent_not_below(x));
  return {static_cast<uint8_t>(exponent + 127), std::ldexp(1.0f, exponent)};
}

Scale e4m3(float x) {
  const uint8_t byte = float_to_e4m3(x);
  return {byte, e4m3_to_float(byte)};
}

template <DType D>
void quantize_groups(const QuantizeJob& job) {
  using Storage = typename Element<D>::Storage;
  const auto [mode, bits, group_size] = job.format;
  const Storage* group = static_cast<const Storage*>(job.values);
  CodeWriter codes(job.packed, bits);
  for (int64_t g = 0; g < job.groups; ++g, group += group_size) {
    float greatest = 0;
    for (int i = 0; i < group_size; ++i) {
      const float value = std::abs(Element<D>::load(read_at<Storage>(group, i)));
      if (value > greatest) greatest = value;  // never NaN; GCC 12 fails on fmax() here for arm64
    }
    const float fitting = greatest / (bits == 4 ? 6.0f : 448.0f);
    const Scale scale = mode == QuantMode::nvfp4 ? e4m3(fitting) : power_of_two(fitting);
    write_at(job.scales, g, scale.byte);
    const float inverse = scale.value == 0 ? 0.0f : 1.0f / scale.value;
    for (int i = 0; i < group_size; ++i) {
      const float scaled = multiply(Element<D>::load(read_at<Storage>(group, i)), inverse);
      codes.put(bits == 4 ? e2m1_code(scaled) : float_to_e4m3(scaled));
    }
  }
}

}  // namespace metal

// CPU: a composition of array operations, each of which rounds to the input's dtype.
namespace cpu {

template <DType D>
float in_dtype(float value) {
  return Element<D>::load(Element<D>::store(value));
}

// The first of the nearest values, distances rounded to dtype D; NaN is near nothing and gets the first code.
template <DType D>
uint8_t e2m1_code(float x) {
  const auto distance = [x](int code) {
    return in_dtype<D>(std::abs(subtract(x, e2m1_values[static_cast<size_t>(code)])));
  };
  int nearest = 0;
  for (int code = 1; code < 16; ++code) {
    if (distance(code) < distance(nearest)) nearest = code;
  }
  return static_cast<uint8_t>(nearest);
}

// The exponent goes through int32: NaN and infinity become the least ones there.
template <DType D>
Scale power_of_two(float x) {
  float exponent = 0;
  if (!std::isfinite(x)) {
    exponent = in_dtype<D>(-0x1p31f);
  } else if (x != 0) {
    exponent = static_cast<float>(exponent_not_below(x));
  }
  const auto byte = static_cast<uint8_t>(int32_of(in_dtype<D>(exponent + 127.0f)));
  return {byte, in_dtype<D>(std::exp2(exponent))};
}

Scale e4m3(float x) {
  const uint8_t byte = float_to_e4m3(x);
  return {byte, e4m3_to_float(byte)};
}

template <DType D>
float greatest_magnitude(const void* values, int64_t begin, int group_size) {
  float greatest = 0;
  for (int i = 0; i < group_size; ++i) {
    const float value = std::abs(Element<D>::load(read_at<typename Element<D>::Storage>(values, begin + i)));
    if (std::isnan(value)) return value;
    greatest = std::max(greatest, value);
  }
  return greatest;
}

template <DType D>
void quantize_groups(const QuantizeJob& job) {
  using Storage = typename Element<D>::Storage;
  const auto [mode, bits, group_size] = job.format;
  CodeWriter codes(job.packed, bits);
  for (int64_t g = 0; g < job.groups; ++g) {
    const float greatest = greatest_magnitude<D>(job.values, g * group_size, group_size);
    const float fitting = in_dtype<D>(greatest / (bits == 4 ? 6.0f : 448.0f));
    const Scale scale = mode == QuantMode::nvfp4 ? e4m3(fitting) : power_of_two<D>(fitting);
    write_at(job.scales, g, scale.byte);
    for (int i = 0; i < group_size; ++i) {
      const float value = Element<D>::load(read_at<Storage>(job.values, g * group_size + i));
      const float scaled = in_dtype<D>(divide(value, scale.value));
      if (bits == 8) {
        codes.put(float_to_e4m3(scaled));
      } else {
        // nvfp4's global scale is a float, which makes the distances floats too.
        codes.put(mode == QuantMode::nvfp4 ? e2m1_code<DType::F32>(scaled) : e2m1_code<D>(scaled));
      }
    }
  }
}

}  // namespace cpu

template <DType D>
void quantize_groups(const QuantizeJob& job) {
  return job.rounding == Rounding::metal ? metal::quantize_groups<D>(job) : cpu::quantize_groups<D>(job);
}

// Value, scale and product each round to the dtype: with F16, large E8M0 scales are infinite and small ones zero.
template <DType D>
void dequantize_groups(const DequantizeJob& job) {
  const auto [mode, bits, group_size] = job.format;
  CodeReader codes(job.packed, bits);
  for (int64_t g = 0; g < job.groups; ++g) {
    const auto byte = read_at<uint8_t>(job.scales, g);
    const float scale = cpu::in_dtype<D>(mode == QuantMode::nvfp4 ? e4m3_to_float(byte) : std::ldexp(1.0f, byte - 127));
    for (int i = 0; i < group_size; ++i) {
      const uint32_t code = codes.take();
      const float value = bits == 4 ? e2m1_values[code] : cpu::in_dtype<D>(e4m3_to_float(static_cast<uint8_t>(code)));
      write_at(job.out, g * group_size + i, Element<D>::store(multiply(value, scale)));
    }
  }
}

}  // namespace

void reference_quantize_floating(const QuantizeJob& job) {
  for_dtype(job.dtype, [&job]<DType D>() { quantize_groups<D>(job); });
}

void reference_dequantize_floating(const DequantizeJob& job) {
  for_dtype(job.out_dtype, [&job]<DType D>() { dequantize_groups<D>(job); });
}

}  // namespace pippin

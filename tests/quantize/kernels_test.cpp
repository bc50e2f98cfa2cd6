// Every instruction set that this machine has gives the reference's bits.
#include "quantize/kernels.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>

#include "quantize/quantize.h"
#include "quantize/reference.h"
#include "tensor/cast.h"

using namespace pippin;

namespace {

// How a row's values are drawn, from the usual to the nasty. `spread` scales a normal distribution by 2^-spread to
// 2^spread, anew every 128 values; `odd` is the share of values drawn from the list.
struct Draw {
  const char* name;
  int spread;
  double odd;
  std::vector<float> list;
};

const float infinity = std::numeric_limits<float>::infinity();

const std::vector<Draw> draws{
    {"weights", 0, 0, {}},
    {"wide", 14, 0, {}},
    {"very wide", 120, 0, {}},
    {"ties", 0, 1, {0.5f, -0.25f, 0.125f, 1.5f, -1, 0.75f, 3.5f, -6, 0.0625f, 0.1875f}},
    {"zeros", 3, 0.9, {0.0f, -0.0f}},
    {"only zeros", 0, 1, {0.0f, -0.0f}},
    {"subnormal", 0, 0.95, {1e-40f, -3e-39f, 1e-45f, 0.0f, 6e-8f, -6e-8f}},
    {"only subnormal", 0, 1, {1e-40f, -3e-39f, 1e-45f}},
    {"infinity", 2, 0.01, {infinity, -infinity}},
    {"nan", 2, 0.01, {std::numeric_limits<float>::quiet_NaN(), infinity}},
    {"huge", 0, 0.5, {3e38f, -3e38f, 65504, -65504}},
    {"one huge value", 0, 1, {3e38f}},
};

std::vector<char> drawn(const Draw& draw, int sign, DType dtype, int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  float scale = 1;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 128 == 0) scale = std::ldexp(1.0f, static_cast<int>(random() % (2 * draw.spread + 1)) - draw.spread);
    const bool odd = std::uniform_real_distribution<>()(random) < draw.odd;
    values[i] = odd ? draw.list[random() % draw.list.size()] : normal(random) * scale;
    if (sign != 0) values[i] = std::copysign(values[i], static_cast<float>(sign));
  }
  std::vector<char> bytes(values.size() * size_of(dtype));
  cast(DType::F32, values.data(), dtype, bytes.data(), count);
  return bytes;
}

std::vector<QuantFormat> all_formats() {
  std::vector<QuantFormat> formats;
  for (const QuantModeRow& row : quant_modes()) {
    for (const int bits : row.bits) {
      for (const int group_size : row.group_sizes) formats.push_back({row.mode, bits, group_size});
    }
  }
  return formats;
}

// A result with one byte after it that must stay.
struct Guarded {
  std::vector<char> bytes;
  explicit Guarded(size_t size) : bytes(size + 1, 0x5A) {}
  bool intact() const { return bytes.back() == 0x5A; }
};

struct Quantized {
  Guarded packed, scales, biases;
  explicit Quantized(const QuantizeJob& job)
      : packed(static_cast<size_t>(job.groups * job.format.group_size * job.format.bits / 8)),
        scales(static_cast<size_t>(job.groups) * (job.format.mode == QuantMode::affine ? size_of(job.dtype) : 1)),
        biases(scales.bytes.size() - 1) {}
  bool intact() const { return packed.intact() && scales.intact() && biases.intact(); }
};

Quantized quantized(const QuantizeKernels& kernels, QuantizeJob job) {
  Quantized out(job);
  job.packed = out.packed.bytes.data();
  job.scales = out.scales.bytes.data();
  job.biases = out.biases.bytes.data();
  kernels.quantize(job);
  return out;
}

Guarded dequantized(const QuantizeKernels& kernels, const QuantizeJob& job, const Quantized& in) {
  Guarded out(static_cast<size_t>(job.groups * job.format.group_size) * size_of(job.dtype));
  kernels.dequantize({job.format, job.dtype, in.packed.bytes.data(), in.scales.bytes.data(), in.biases.bytes.data(),
                      job.groups, out.bytes.data(), job.dtype});
  return out;
}

void compare_with_reference(const QuantizeJob& job, const std::string& what) {
  const QuantizeKernels& reference = quantize_kernels().back();
  const Quantized expected = quantized(reference, job);
  const Guarded expected_back = dequantized(reference, job, expected);
  for (const QuantizeKernels& kernels : quantize_kernels()) {
    const Quantized got = quantized(kernels, job);
    const std::string where = fmt::format("{} {}", what, kernels.isa);
    ASSERT_TRUE(got.intact()) << where;
    ASSERT_EQ(got.packed.bytes, expected.packed.bytes) << where;
    ASSERT_EQ(got.scales.bytes, expected.scales.bytes) << where;
    ASSERT_EQ(got.biases.bytes, expected.biases.bytes) << where;
    const Guarded back = dequantized(kernels, job, expected);
    ASSERT_TRUE(back.intact()) << where;
    ASSERT_EQ(back.bytes, expected_back.bytes) << where;
  }
}

std::string_view name_of(Rounding rounding) {
  return rounding == Rounding::metal ? "metal" : "cpu";
}

class KernelsOf : public testing::TestWithParam<QuantFormat> {};

}  // namespace

TEST_P(KernelsOf, GiveTheReferencesBits) {
  const QuantFormat format = GetParam();
  // Groups past the last full block of 16 too, and from an address that is not aligned.
  const int64_t groups = 16 * 8 + 11;
  uint32_t seed = 1;
  for (const Draw& draw : draws) {
    for (const int sign : {0, 1, -1}) {
      for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
        const int64_t count = groups * format.group_size;
        const std::vector<char> values = drawn(draw, sign, dtype, count + 1, ++seed);
        for (const Rounding rounding : {Rounding::metal, Rounding::cpu}) {
          compare_with_reference({format, rounding, dtype, values.data() + size_of(dtype), groups, {}, {}, {}},
                                 fmt::format("{} {} {}", draw.name, name_of(dtype), name_of(rounding)));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllFormats, KernelsOf, testing::ValuesIn(all_formats()), [](const auto& each) {
  return fmt::format("{}_{}_{}", row_of(each.param.mode).name, each.param.bits, each.param.group_size);
});

// Scales no quantization makes: every byte, and for affine modes NaN, infinity and what overflows.
TEST_P(KernelsOf, DequantizeWithAnyScale) {
  const QuantFormat format = GetParam();
  const int64_t groups = 256;
  std::mt19937 random(3);
  std::vector<uint32_t> packed(static_cast<size_t>(groups * format.group_size * format.bits / 32));
  for (uint32_t& word : packed) word = static_cast<uint32_t>(random());
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    std::vector<char> scales = drawn({"", 100, 0.3, {infinity, -infinity, NAN, 0, -0.0f}}, 0, dtype, groups, 4);
    const std::vector<char> biases = drawn({"", 100, 0.3, {infinity, NAN, -0.0f}}, 0, dtype, groups, 5);
    if (format.mode != QuantMode::affine) std::iota(scales.begin(), scales.begin() + groups, char{0});
    const auto run = [&](const QuantizeKernels& kernels, int64_t first, int64_t count) {
      const DequantizeJob job{format, dtype, packed.data(), scales.data(), biases.data(), groups, nullptr, dtype};
      std::vector<char> out(static_cast<size_t>(count * format.group_size) * size_of(dtype));
      DequantizeJob some = job.slice(first, count);
      some.out = out.data();
      kernels.dequantize(some);
      return out;
    };
    for (const QuantizeKernels& kernels : quantize_kernels()) {
      // One group at a time too, so that no neighbour sends it to the reference.
      for (int64_t g = 0; g < groups; ++g) {
        ASSERT_EQ(run(kernels, g, 1), run(quantize_kernels().back(), g, 1)) << kernels.isa << " group " << g;
      }
      ASSERT_EQ(run(kernels, 0, groups), run(quantize_kernels().back(), 0, groups)) << kernels.isa;
    }
  }
}

// The worst case for kernels that divide by multiplying with an inverse: quotients that lie on or beside the middle
// between two codes. Every BF16 significand as edge, and every one as value.
TEST(Kernels, RoundQuotientsAsTheReferenceDoes) {
  for (const int bits : {2, 3, 4, 6, 8}) {
    std::vector<uint16_t> values;
    for (uint16_t edge = 0x3F80; edge < 0x4000; ++edge) {
      for (uint16_t first = 0; first < 128 * 8; first += 31) {
        values.push_back(edge);
        for (uint16_t i = 0; i < 31; ++i)
          values.push_back(static_cast<uint16_t>((first % 2 ? 0x3C80 : 0xBC80) + first + i));
      }
    }
    for (const Rounding rounding : {Rounding::metal, Rounding::cpu}) {
      compare_with_reference({{QuantMode::affine, bits, 32},
                              rounding,
                              DType::BF16,
                              values.data(),
                              static_cast<int64_t>(values.size()) / 32,
                              {},
                              {},
                              {}},
                             fmt::format("{} bits, {}", bits, name_of(rounding)));
    }
  }
}

// The float below one half is no half: its code is 0, and so are the steps from it to zero.
TEST(Kernels, RoundTheFloatBelowOneHalfDown) {
  const float below = 0x1.fffffep-2f;
  std::vector<float> values(32);
  values[0] = -0x1.800002p1f;  // the bias; with 2 bits the scale is 0x1.800002p0
  values[1] = 1.5f;
  values[2] = values[0] + 0.75f;
  ASSERT_EQ(0.75f / 0x1.800002p0f, below);
  compare_with_reference({{QuantMode::affine, 2, 32}, Rounding::metal, DType::F32, values.data(), 1, {}, {}, {}},
                         "code");
  values = {std::nextafter(1e-7f / 2, 0.0f)};
  values.resize(32);
  ASSERT_EQ(values[0] / 1e-7f, below);
  compare_with_reference({{QuantMode::affine, 4, 32}, Rounding::metal, DType::F32, values.data(), 1, {}, {}, {}},
                         "steps");
}

TEST(Kernels, NoGroupsAreNoWork) {
  for (const QuantizeKernels& kernels : quantize_kernels()) {
    kernels.quantize({{}, Rounding::metal, DType::F16, nullptr, 0, nullptr, nullptr, nullptr});
    kernels.dequantize({{}, DType::F16, nullptr, nullptr, nullptr, 0, nullptr, DType::F16});
  }
}

// The choice is made once a process, so each is seen in a process of its own.
TEST(KernelIsaDeathTest, PippinIsaForcesASet) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const QuantizeKernels& kernels : quantize_kernels()) {
    EXPECT_EXIT(
        {
          setenv("PIPPIN_ISA", kernels.isa, 1);
          std::exit(std::string(kernel_isa()) == kernels.isa ? 0 : 1);
        },
        testing::ExitedWithCode(0), "")
        << kernels.isa;
  }
}

TEST(KernelIsaDeathTest, TheBestSetIsTakenWhereTheNameIsUnknown) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("PIPPIN_ISA", "NO_SUCH_SET", 1);
        std::exit(std::string(kernel_isa()) == quantize_kernels().front().isa ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

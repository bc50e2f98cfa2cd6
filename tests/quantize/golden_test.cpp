// Every kernel against recorded bytes: goldens.json has mx.quantize by the CPU backend and by Metal's arithmetic,
// dequantize_goldens.json has mx.dequantize (tools/dequantize_goldens).
#include <gtest/gtest.h>

#include <cstring>

#include "quantize/golden_file.h"
#include "quantize/kernels.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

using namespace pippin;
using nlohmann::json;

namespace {

QuantFormat format_of(const json& golden) {
  return {*quant_mode_of(golden["mode"].get<std::string>()), golden["bits"], golden["group_size"]};
}

std::string title(const json& golden, const char* isa) {
  std::string text = isa;
  for (const auto& [key, value] : golden.items()) {
    const std::string shown = value.dump();
    if (shown.size() < 20) text.append(" ").append(shown);
  }
  return text;
}

// The case's input row, rounded to its dtype.
std::string input_of(const json& goldens, const json& golden) {
  const std::string floats = from_base64(goldens["inputs"][golden["input"].get<std::string>()].get<std::string>());
  const DType dtype = *dtype_of(golden["dtype"].get<std::string>());
  std::string values(floats.size() / 4 * size_of(dtype), '\0');
  cast(DType::F32, floats.data(), dtype, values.data(), static_cast<int64_t>(floats.size() / 4));
  return values;
}

// packed, scales and, in affine mode, biases.
std::vector<std::string> quantized(const QuantizeKernels& kernels, QuantizeJob job) {
  const auto groups = static_cast<size_t>(job.groups);
  const size_t scale = job.format.mode == QuantMode::affine ? size_of(job.dtype) : 1;
  std::vector<std::string> parts{std::string(groups * job.format.group_size * job.format.bits / 8, '\0'),
                                 std::string(groups * scale, '\0'), std::string(groups * scale, '\0')};
  job.packed = parts[0].data();
  job.scales = parts[1].data();
  job.biases = parts[2].data();
  kernels.quantize(job);
  if (job.format.mode != QuantMode::affine) parts.pop_back();
  return parts;
}

std::vector<std::string> decoded(const json& texts) {
  std::vector<std::string> parts;
  for (const auto& text : texts) parts.push_back(from_base64(text.get<std::string>()));
  return parts;
}

}  // namespace

TEST(Golden, Quantize) {
  const json goldens = golden_file("goldens.json");
  ASSERT_EQ(goldens["cases"].size(), 1008u);
  for (const QuantizeKernels& kernels : quantize_kernels()) {
    for (const json& golden : goldens["cases"]) {
      const QuantFormat format = format_of(golden);
      const std::string values = input_of(goldens, golden);
      const DType dtype = *dtype_of(golden["dtype"].get<std::string>());
      QuantizeJob job{format, Rounding::cpu, dtype, values.data(), 512 / format.group_size, {}, {}, {}};
      ASSERT_EQ(quantized(kernels, job), decoded(golden["cpu"])) << title(golden, kernels.isa);
      job.rounding = Rounding::metal;
      const json& metal = golden.contains("metal") ? golden["metal"] : golden["cpu"];
      ASSERT_EQ(quantized(kernels, job), decoded(metal)) << title(golden, kernels.isa);
    }
  }
}

TEST(Golden, Dequantize) {
  const json goldens = golden_file("dequantize_goldens.json");
  const int64_t columns = goldens["columns"];
  ASSERT_EQ(goldens["cases"].size(), 144u);
  for (const QuantizeKernels& kernels : quantize_kernels()) {
    for (const json& golden : goldens["cases"]) {
      const QuantFormat format = format_of(golden);
      const DType dtype = *dtype_of(golden["dtype"].get<std::string>());
      const std::string packed = from_base64(golden["packed"].get<std::string>());
      const std::string scales = from_base64(golden["scales"].get<std::string>());
      const std::string biases = from_base64(golden.value("biases", ""));
      std::string out(static_cast<size_t>(columns) * size_of(dtype), '\0');
      kernels.dequantize(
          {format, dtype, packed.data(), scales.data(), biases.data(), columns / format.group_size, out.data(), dtype});
      ASSERT_EQ(out, from_base64(golden["out"].get<std::string>())) << title(golden, kernels.isa);
    }
  }
}

TEST(Golden, CoverEveryModeRow) {
  const json goldens = golden_file("goldens.json");
  for (const QuantModeRow& row : quant_modes()) {
    for (const int bits : row.bits) {
      for (const int group_size : row.group_sizes) {
        const auto covers = [&](const json& golden) {
          return format_of(golden) == QuantFormat{row.mode, bits, group_size};
        };
        EXPECT_EQ(std::count_if(goldens["cases"].begin(), goldens["cases"].end(), covers), 42) << row.name;
      }
    }
  }
}

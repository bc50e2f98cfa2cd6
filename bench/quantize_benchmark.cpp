// Speed of the kernels on one core, in bytes of the wide side (the values, not the codes) a second, beside memcpy.
//
//   bench_quantize                                       everything
//   bench_quantize --benchmark_filter='quantize/affine/4/64/BF16'
//   bench_quantize --benchmark_filter='memcpy|count_nonfinite|cast'
//
// Names: quantize/MODE/BITS/GROUP/DTYPE/ROUNDING/ISA. The matrix is larger than the caches, as weights are.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "quantize/kernels.h"
#include "quantize/quantize.h"
#include "tensor/cast_kernels.h"
#include "tensor/small_float.h"

namespace pippin {
namespace {

constexpr int64_t rows = 4096;
constexpr int64_t columns = 4096;
constexpr int64_t count = rows * columns;
constexpr DType dtypes[] = {DType::BF16, DType::F16, DType::F32};

// Values like weights: normal, with a standard deviation of 0.02.
const std::vector<char>& weights(DType dtype) {
  static const auto all = [] {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    std::vector<float> values(count);
    for (float& value : values) value = normal(generator);
    std::vector<std::vector<char>> made;
    for (const DType each : dtypes) {
      std::vector<char> bytes(static_cast<size_t>(count) * size_of(each));
      cast_kernels().front().cast(DType::F32, values.data(), each, bytes.data(), count);
      made.push_back(std::move(bytes));
    }
    return made;
  }();
  for (size_t i = 0; i < std::size(dtypes); ++i) {
    if (dtypes[i] == dtype) return all[i];
  }
  return all[0];
}

struct Packed {
  std::vector<uint32_t> words;
  std::vector<float> scales;
  std::vector<float> biases;

  explicit Packed(const QuantFormat& format)
      : words(static_cast<size_t>(rows * packed_row(format, columns).words)),
        scales(static_cast<size_t>(rows * packed_row(format, columns).groups)),
        biases(scales.size()) {}
};

QuantizeJob job_of(const QuantFormat& format, Rounding rounding, DType dtype, Packed& packed) {
  return {format,
          rounding,
          dtype,
          weights(dtype).data(),
          count / format.group_size,
          packed.words.data(),
          packed.scales.data(),
          packed.biases.data()};
}

void quantize(benchmark::State& state, QuantizeKernels kernels, QuantFormat format, Rounding rounding, DType dtype) {
  Packed packed(format);
  const QuantizeJob job = job_of(format, rounding, dtype, packed);
  for (auto _ : state) {
    kernels.quantize(job);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(weights(dtype).size()) * state.iterations());
}

void dequantize(benchmark::State& state, QuantizeKernels kernels, QuantFormat format, DType dtype) {
  Packed packed(format);
  quantize_kernels().front().quantize(job_of(format, Rounding::metal, dtype, packed));
  std::vector<char> out(weights(dtype).size());
  for (auto _ : state) {
    kernels.dequantize({format, dtype, packed.words.data(), packed.scales.data(), packed.biases.data(),
                        count / format.group_size, out.data(), dtype});
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(out.size()) * state.iterations());
}

void copy(benchmark::State& state) {
  const auto& in = weights(DType::BF16);
  std::vector<char> out(in.size());
  for (auto _ : state) {
    std::memcpy(out.data(), in.data(), in.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(in.size()) * state.iterations());
}

void count_nonfinite_of(benchmark::State& state, CastKernels kernels, DType dtype) {
  const auto& in = weights(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(kernels.count_nonfinite(dtype, in.data(), count));
  state.SetBytesProcessed(static_cast<int64_t>(in.size()) * state.iterations());
}

void cast_to(benchmark::State& state, CastKernels kernels, DType from, DType to) {
  std::vector<char> out(static_cast<size_t>(count) * size_of(to));
  for (auto _ : state) {
    kernels.cast(from, weights(from).data(), to, out.data(), count);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(weights(from).size()) * state.iterations());
}

void register_format(const QuantFormat& format) {
  for (const DType dtype : dtypes) {
    for (const QuantizeKernels& kernels : quantize_kernels()) {
      const std::string name = std::string(row_of(format.mode).name) + "/" + std::to_string(format.bits) + "/" +
                               std::to_string(format.group_size) + "/" + std::string(name_of(dtype)) + "/";
      for (const Rounding rounding : {Rounding::metal, Rounding::cpu}) {
        const std::string full = "quantize/" + name + (rounding == Rounding::metal ? "metal/" : "cpu/") + kernels.isa;
        benchmark::RegisterBenchmark(full.c_str(), quantize, kernels, format, rounding, dtype);
      }
      benchmark::RegisterBenchmark(("dequantize/" + name + kernels.isa).c_str(), dequantize, kernels, format, dtype);
    }
  }
}

void register_all() {
  benchmark::RegisterBenchmark("memcpy", copy);
  for (const CastKernels& kernels : cast_kernels()) {
    for (const DType from : dtypes) {
      const std::string name(name_of(from));
      benchmark::RegisterBenchmark(("count_nonfinite/" + name + "/" + kernels.isa).c_str(), count_nonfinite_of, kernels,
                                   from);
      for (const DType to : dtypes) {
        if (to == from) continue;
        const std::string full = "cast/" + name + "/" + std::string(name_of(to)) + "/" + kernels.isa;
        benchmark::RegisterBenchmark(full.c_str(), cast_to, kernels, from, to);
      }
    }
  }
  for (const QuantModeRow& row : quant_modes()) {
    for (const int bits : row.bits) {
      for (const int group_size : row.group_sizes) register_format({row.mode, bits, group_size});
    }
  }
}

}  // namespace
}  // namespace pippin

int main(int argc, char** argv) {
  pippin::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}

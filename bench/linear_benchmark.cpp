// What running a model on the CPU spends on a token, by the shapes of SmolLM2-135M: 30 layers of 576 x (576, 192, 192),
// 576 x 576, 2 of 576 x 1536, 1536 x 576, and a head of 576 x 49152.
//
//   bench_linear                                      everything, on one thread and on all
//   bench_linear --benchmark_filter='decode/affine4'  a token's linear layers at 4 bits
//
// Names: decode/FORM/THREADS, decode_large_pages/FORM/THREADS (the weights moved to large pages), prompt/FORM/THREADS
// (64 tokens; no head), LAYER/FORM/ROWS/THREADS, attention/KEYS/THREADS. bytes_per_second counts the weights; compare
// with read, which only adds up as many bytes.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string>
#include <vector>

#include "linear/activation.h"
#include "linear/attention.h"
#include "linear/large_pages.h"
#include "linear/linear.h"
#include "linear/normalization.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t hidden = 576;
constexpr int64_t inner = 1536;
constexpr int64_t layers = 30;
constexpr int64_t vocabulary = 49152;

struct Form {
  const char* name;
  std::optional<QuantFormat> format;
  DType dtype;
};
const std::vector<Form> forms{{"affine4", QuantFormat{QuantMode::affine, 4, 64}, DType::BF16},
                              {"affine8", QuantFormat{QuantMode::affine, 8, 64}, DType::BF16},
                              {"affine6", QuantFormat{QuantMode::affine, 6, 64}, DType::BF16},
                              {"mxfp4", QuantFormat{QuantMode::mxfp4, 4, 32}, DType::BF16},
                              {"mxfp8", QuantFormat{QuantMode::mxfp8, 8, 32}, DType::BF16},
                              {"bf16", std::nullopt, DType::BF16},
                              {"f16", std::nullopt, DType::F16},
                              {"f32", std::nullopt, DType::F32}};

// A weight with its own bytes, so that a model is as large as it would be.
struct Layer {
  WeightView view;
  std::vector<char> values, scales, biases;

  Layer(const Form& form, int64_t rows, int64_t columns) {
    const auto count = static_cast<size_t>(rows * columns);
    std::vector<float> floats(count);
    for (size_t i = 0; i < count; ++i) floats[i] = static_cast<float>(i * 2654435761u % 2001) / 50000 - 0.02f;
    std::vector<char> dense(count * size_of(form.dtype));
    cast(DType::F32, floats.data(), form.dtype, dense.data(), rows * columns);
    if (!form.format) {
      values = std::move(dense);
    } else {
      const PackedRow row = packed_row(*form.format, columns);
      values.resize(static_cast<size_t>(rows * row.words * 4));
      scales.resize(static_cast<size_t>(rows * row.groups) * size_of(form.dtype));
      biases.resize(scales.size());
      quantize_rows(*form.format, Rounding::metal, form.dtype, dense.data(), rows, columns,
                    reinterpret_cast<uint32_t*>(values.data()), scales.data(), biases.data());
    }
    view = {rows, columns, 1, form.format, form.dtype, values.data(), scales.data(), biases.data(), nullptr};
  }
};

// Layers that read one input.
struct Block {
  std::vector<Layer> parts;
  std::vector<std::vector<char>> outputs;

  void run(ThreadPool& pool, DType dtype, const std::vector<char>& x, int64_t m) {
    std::vector<LinearOutput> all;
    outputs.resize(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      outputs[i].resize(static_cast<size_t>(m * parts[i].view.rows) * size_of(dtype));
      all.push_back({parts[i].view, nullptr, DType::F32, outputs[i].data(), parts[i].view.rows});
    }
    linear(pool, {dtype, x.data(), m, parts[0].view.columns, parts[0].view.columns}, all);
  }
  [[nodiscard]] int64_t bytes() const {
    int64_t sum = 0;
    for (const Layer& part : parts) sum += bytes_of(part.view);
    return sum;
  }
};

Block block_of(const Form& form, std::initializer_list<int64_t> rows, int64_t columns) {
  Block block;
  for (const int64_t n : rows) block.parts.emplace_back(form, n, columns);
  return block;
}

std::vector<Block> model_of(const Form& form) {
  std::vector<Block> blocks;
  for (int64_t i = 0; i < layers; ++i) {
    blocks.push_back(block_of(form, {hidden, 192, 192}, hidden));
    blocks.push_back(block_of(form, {hidden}, hidden));
    blocks.push_back(block_of(form, {inner, inner}, hidden));
    blocks.push_back(block_of(form, {hidden}, inner));
  }
  return blocks;
}

std::vector<char> input(DType dtype, int64_t count) {
  std::vector<float> floats(static_cast<size_t>(count));
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i * 7919 % 1000) / 500 - 1;
  std::vector<char> bytes(floats.size() * size_of(dtype));
  cast(DType::F32, floats.data(), dtype, bytes.data(), count);
  return bytes;
}

void run_blocks(benchmark::State& state, const Form& form, std::vector<Block> blocks, int64_t m, int threads) {
  ThreadPool pool(threads);
  const auto x = input(form.dtype, m * inner);
  int64_t bytes = 0;
  for (const Block& block : blocks) bytes += block.bytes();
  double best = 1e9;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (Block& block : blocks) block.run(pool, form.dtype, x, m);
    best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  state.counters["best"] = best;  // microseconds: what is left of a busy machine's noise
  state.SetBytesProcessed(bytes * state.iterations());
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(m * state.iterations()), benchmark::Counter::kIsRate);
}

void decode(benchmark::State& state, Form form, int threads, bool large_pages) {
  std::vector<Block> blocks = model_of(form);
  blocks.push_back(block_of(form, {vocabulary}, hidden));
  if (large_pages) {
    std::vector<std::span<const std::byte>> ranges;
    for (const Block& block : blocks) {
      for (const Layer& part : block.parts) {
        for (const auto* each : {&part.values, &part.scales, &part.biases})
          ranges.push_back(std::as_bytes(std::span(*each)));
      }
    }
    state.counters["large"] = static_cast<double>(move_to_large_pages(std::move(ranges)));
  }
  run_blocks(state, form, std::move(blocks), 1, threads);
}

void prompt(benchmark::State& state, Form form, int threads) {
  run_blocks(state, form, model_of(form), 64, threads);
}

void layer(benchmark::State& state, Form form, int64_t rows, int64_t columns, int64_t m, int threads) {
  std::vector<Block> blocks;
  blocks.push_back(block_of(form, {rows}, columns));
  run_blocks(state, form, std::move(blocks), m, threads);
}

void attend(benchmark::State& state, int64_t queries, int64_t length, int threads) {
  ThreadPool pool(threads);
  const auto q = input(DType::BF16, 9 * queries * 64), k = input(DType::BF16, 3 * length * 64);
  std::vector<char> out(q.size());
  Attention a;
  a.dtype = DType::BF16;
  a.heads = 9;
  a.kv_heads = 3;
  a.queries = queries;
  a.length = length;
  a.key_dim = a.value_dim = 64;
  a.q = {q.data(), 0, queries * 64, 64};
  a.k = a.v = {k.data(), 0, length * 64, 64};
  a.out = out.data();
  a.out_head_stride = queries * 64;
  a.out_row_stride = 64;
  a.causal = true;
  for (auto _ : state) attention(pool, a);
}

void norm(benchmark::State& state) {
  ThreadPool pool(1);
  const auto x = input(DType::BF16, hidden);
  std::vector<char> out(x.size());
  for (auto _ : state) {
    rms_norm(pool, {DType::BF16, x.data(), hidden, out.data(), hidden, 1, hidden}, x.data(), 1e-5f);
  }
}

void gate(benchmark::State& state) {
  ThreadPool pool(1);
  const auto x = input(DType::BF16, inner);
  std::vector<char> out(x.size());
  for (auto _ : state) activate_gated(pool, Activation::silu, DType::BF16, x.data(), x.data(), out.data(), inner);
}

void read(benchmark::State& state, int threads) {
  ThreadPool pool(threads);
  const std::vector<uint64_t> bytes(size_t{80} << 17);
  const auto count = static_cast<int64_t>(bytes.size());
  for (auto _ : state) {
    pool.parallel_for(count, 8192, [&](int64_t begin, int64_t end) {
      benchmark::DoNotOptimize(std::accumulate(bytes.begin() + begin, bytes.begin() + end, uint64_t{0}));
    });
  }
  state.SetBytesProcessed(count * 8 * state.iterations());
}

template <typename Function, typename... Arguments>
void add(const std::string& name, Function function, Arguments... arguments) {
  benchmark::RegisterBenchmark(name.c_str(), function, arguments...)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void register_all() {
  std::vector<int> counts{1};
  if (available_processors() > 1) counts.push_back(available_processors());
  add("norm", norm);
  add("gate", gate);
  for (const int threads : counts) {
    const std::string last = "/" + std::to_string(threads);
    add("read" + last, read, threads);
    add("attention/64" + last, attend, 1, 64, threads);
    add("attention/512" + last, attend, 1, 512, threads);
    add("attention/prompt512" + last, attend, 512, 512, threads);
    for (const Form& form : forms) {
      add(std::string("decode/") + form.name + last, decode, form, threads, false);
      add(std::string("decode_large_pages/") + form.name + last, decode, form, threads, true);
      add(std::string("prompt/") + form.name + last, prompt, form, threads);
      for (const int64_t m : {1, 2, 4, 8, 9, 32, 256}) {
        const std::string rest = std::string("/") + form.name + "/" + std::to_string(m) + last;
        add("576x1536" + rest, layer, form, inner, hidden, m, threads);
        add("4096x4096" + rest, layer, form, 4096, 4096, m, threads);
      }
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

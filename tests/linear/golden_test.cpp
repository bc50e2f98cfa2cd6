// Against what MLX computed on its CPU backend: goldens.json (tools/linear_goldens).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "linear/attention.h"
#include "linear/linear.h"
#include "linear/normalization.h"
#include "linear/random_weights.h"
#include "linear/rotary.h"
#include "quantize/golden_file.h"

namespace pippin {
namespace {

using nlohmann::json;

const json& goldens() {
  static const json parsed = [] {
    std::ifstream in(PIPPIN_SOURCE_DIR "/tests/linear/goldens.json");
    return json::parse(in);
  }();
  return parsed;
}

std::vector<char> bytes_of(const json& text) {
  const std::string bytes = from_base64(text.get<std::string>());
  return {bytes.begin(), bytes.end()};
}

std::vector<float> floats_of(const json& text) {
  return loaded(bytes_of(text), DType::F32);
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, double relative,
                 double absolute) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], relative * std::abs(expected[i]) + absolute) << "element " << i;
  }
}

// MLX's CPU backend rounds each step of a product in half precision: its own noise is some of the dtype's units.
double noise(DType dtype) {
  return dtype == DType::F32 ? 2e-6 : dtype == DType::F16 ? 5e-3 : 4e-2;
}

TEST(Goldens, QuantizedProducts) {
  ThreadPool pool(2);
  for (const json& row : goldens()["products"]) {
    const DType dtype = *dtype_of(row["dtype"].get<std::string>());
    const auto weight = bytes_of(row["weight"]), scales = bytes_of(row["scales"]), biases = bytes_of(row["biases"]);
    const auto x = bytes_of(row["x"]);
    const QuantFormat format{*quant_mode_of(row["mode"].get<std::string>()), row["bits"], row["group_size"]};
    const WeightView view{5, 256, 1, format, dtype, weight.data(), scales.data(), biases.data(), nullptr};
    ASSERT_TRUE(check(view));
    std::vector<char> y(2 * 5 * size_of(dtype));
    linear(pool, {dtype, x.data(), 2, 256, 256}, {view, nullptr, DType::F32, y.data(), 5});
    SCOPED_TRACE(row["mode"].get<std::string>() + " " + std::to_string(format.bits) + " " +
                 std::string(name_of(dtype)));
    expect_near(loaded(y, dtype), loaded(bytes_of(row["y"]), dtype), 0x1p-7, noise(dtype));
  }
}

TEST(Goldens, Norms) {
  ThreadPool pool(2);
  const json& recorded = goldens()["norms"];
  const auto x = floats_of(recorded["x"]), weight = floats_of(recorded["weight"]), bias = floats_of(recorded["bias"]);
  std::vector<float> out(300);
  const NormRows rows{DType::F32, x.data(), 100, out.data(), 100, 3, 100};
  rms_norm(pool, rows, weight.data(), 1e-5f);
  expect_near(out, floats_of(recorded["rms"]), 1e-6, 1e-7);
  layer_norm(pool, rows, weight.data(), bias.data(), 1e-5f);
  expect_near(out, floats_of(recorded["layer"]), 1e-6, 1e-6);
}

TEST(Goldens, RotaryEmbedding) {
  ThreadPool pool(2);
  const json& recorded = goldens()["rotary"];
  const auto x = floats_of(recorded["x"]), frequencies = floats_of(recorded["frequencies"]);
  std::vector<float> out(2 * 3 * 24);
  Rotary r;
  r.heads = 2;
  r.length = 3;
  r.size = 24;
  r.x = x.data();
  r.out = out.data();
  r.x_head_stride = r.out_head_stride = 3 * 24;
  r.x_row_stride = r.out_row_stride = 24;
  r.dims = 16;
  r.frequencies = frequencies.data();
  r.offset = 1000;
  for (const bool traditional : {false, true}) {
    r.traditional = traditional;
    rotate(pool, r);
    expect_near(out, floats_of(recorded[traditional ? "true" : "false"]), 1e-5, 1e-5);
  }
}

TEST(Goldens, ScaledDotProductAttention) {
  ThreadPool pool(2);
  const json& recorded = goldens()["attention"];
  const auto q = floats_of(recorded["q"]), k = floats_of(recorded["k"]), v = floats_of(recorded["v"]);
  const auto sinks = floats_of(recorded["sinks"]);
  std::vector<float> out(q.size());
  Attention a;
  a.heads = 4;
  a.kv_heads = 2;
  a.queries = 6;
  a.length = 20;
  a.key_dim = a.value_dim = 32;
  a.q = {q.data(), 0, 6 * 32, 32};
  a.k = {k.data(), 0, 20 * 32, 32};
  a.v = {v.data(), 0, 20 * 32, 32};
  a.out = out.data();
  a.out_head_stride = 6 * 32;
  a.out_row_stride = 32;
  a.scale = 0.2f;
  a.causal = true;
  attention(pool, a);
  expect_near(out, floats_of(recorded["causal"]), 1e-5, 1e-6);
  a.sinks = sinks.data();
  attention(pool, a);
  expect_near(out, floats_of(recorded["with_sinks"]), 1e-5, 1e-6);
}

}  // namespace
}  // namespace pippin

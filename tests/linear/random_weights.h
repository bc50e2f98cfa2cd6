// Random weights in every form, with their exact values.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "linear/weight_view.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {

inline std::vector<float> random_values(int64_t count, float spread, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

inline std::vector<char> stored(const std::vector<float>& values, DType dtype) {
  std::vector<char> bytes(values.size() * size_of(dtype));
  cast(DType::F32, values.data(), dtype, bytes.data(), static_cast<int64_t>(values.size()));
  return bytes;
}

inline std::vector<float> loaded(const std::vector<char>& bytes, DType dtype) {
  std::vector<float> values(bytes.size() / size_of(dtype));
  cast(dtype, bytes.data(), DType::F32, values.data(), static_cast<int64_t>(values.size()));
  return values;
}

// A weight with its bytes, exactly as many as it needs, and its exact values.
struct Weight {
  WeightView view;
  std::vector<char> values;
  std::vector<char> scales;
  std::vector<char> biases;
  std::vector<double> exact;
};

inline Weight dense_weight(DType dtype, int64_t matrices, int64_t rows, int64_t columns) {
  Weight w;
  w.values = stored(random_values(matrices * rows * columns, 0.05f, 7), dtype);
  const auto floats = loaded(w.values, dtype);
  w.exact.assign(floats.begin(), floats.end());
  w.view = {rows, columns, matrices, std::nullopt, dtype, w.values.data(), nullptr, nullptr, nullptr};
  return w;
}

inline uint32_t code_at(const std::vector<char>& packed, int64_t i, int bits) {
  uint32_t code = 0;
  for (int64_t bit = i * bits; bit < (i + 1) * bits; ++bit) {
    const auto byte = static_cast<uint8_t>(packed[static_cast<size_t>(bit / 8)]);
    code |= static_cast<uint32_t>(byte >> (bit % 8) & 1) << (bit - i * bits);
  }
  return code;
}

inline Weight packed_weight(QuantFormat format, DType dtype, int64_t matrices, int64_t rows, int64_t columns) {
  Weight w;
  const bool is_affine = format.mode == QuantMode::affine;
  const int64_t count = matrices * rows * columns;
  const int64_t groups = count / format.group_size;
  const DType scale_dtype = is_affine ? dtype : DType::U8;
  w.values.resize(static_cast<size_t>(count * format.bits / 8));
  w.scales.resize(static_cast<size_t>(groups) * size_of(scale_dtype));
  w.biases.resize(is_affine ? w.scales.size() : 0);
  std::vector<uint32_t> words(w.values.size() / 4);
  const auto source = stored(random_values(count, 0.05f, 3), dtype);
  quantize_rows(format, Rounding::metal, dtype, source.data(), matrices * rows, columns, words.data(), w.scales.data(),
                w.biases.data());
  std::memcpy(w.values.data(), words.data(), w.values.size());
  w.view = {rows, columns, matrices, format, dtype, w.values.data(), w.scales.data(), w.biases.data(), nullptr};
  w.exact.resize(static_cast<size_t>(count));
  if (is_affine) {
    const auto scales = loaded(w.scales, dtype);
    const auto biases = loaded(w.biases, dtype);
    for (int64_t i = 0; i < count; ++i) {
      const auto g = static_cast<size_t>(i / format.group_size);
      w.exact[static_cast<size_t>(i)] = static_cast<double>(code_at(w.values, i, format.bits)) * scales[g] + biases[g];
    }
  } else {
    std::vector<float> floats(w.exact.size());
    dequantize_rows(format, DType::U8, words.data(), w.scales.data(), nullptr, matrices * rows, columns, floats.data(),
                    DType::F32);
    w.exact.assign(floats.begin(), floats.end());
  }
  return w;
}

}  // namespace pippin

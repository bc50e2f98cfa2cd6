// What a quantization kernel is: a function over whole groups, one pair for each instruction set.
#pragma once

#include <cstdint>
#include <span>

#include "quantize/mode.h"

namespace pippin {

// Consecutive groups to quantize; the pointers are as for quantize_rows(), where a row's end has no meaning any more
// because rows are packed back to back.
struct QuantizeJob {
  QuantFormat format;
  Rounding rounding;
  DType dtype;
  const void* values;
  int64_t groups;
  void* packed;
  void* scales;
  void* biases;

  // Some of its groups as a job.
  [[nodiscard]] QuantizeJob slice(int64_t first, int64_t count) const;
};

// The pointers are as for dequantize_rows().
struct DequantizeJob {
  QuantFormat format;
  DType scale_dtype;
  const void* packed;
  const void* scales;
  const void* biases;
  int64_t groups;
  void* out;
  DType out_dtype;

  [[nodiscard]] DequantizeJob slice(int64_t first, int64_t count) const;
};

struct QuantizeKernels {
  const char* isa;
  int64_t target;  // Highway's bit of the instruction set
  void (*quantize)(const QuantizeJob&);
  void (*dequantize)(const DequantizeJob&);
};

// The kernels that this machine can run, best first; the last is "SCALAR", the reference.
std::span<const QuantizeKernels> quantize_kernels();

// Those that quantize_rows() and dequantize_rows() use.
const QuantizeKernels& chosen_quantize_kernels();

}  // namespace pippin

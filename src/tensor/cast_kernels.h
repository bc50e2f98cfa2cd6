// The kernels behind cast() and count_nonfinite(), one row for each instruction set.
#pragma once

#include <cstdint>
#include <span>

#include "pippin/dtype.h"

namespace pippin {

// The functions are as cast() and count_nonfinite().
struct CastKernels {
  const char* isa;
  int64_t target;  // Highway's bit of the instruction set
  void (*cast)(DType from, const void* in, DType to, void* out, int64_t count);
  int64_t (*count_nonfinite)(DType dtype, const void* values, int64_t count);
};

// The kernels that this machine can run, best first; the last is "SCALAR", the reference.
std::span<const CastKernels> cast_kernels();

}  // namespace pippin

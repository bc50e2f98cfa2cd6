#include "tensor/cast.h"

#include "tensor/cast_kernels.h"
#include "tensor/isa.h"

namespace pippin {
namespace {

const CastKernels& kernels() {
  static const CastKernels& chosen = chosen_kernels(cast_kernels());
  return chosen;
}

}  // namespace

void cast(DType from, const void* in, DType to, void* out, int64_t count) {
  kernels().cast(from, in, to, out, count);
}

int64_t count_nonfinite(DType dtype, const void* values, int64_t count) {
  return kernels().count_nonfinite(dtype, values, count);
}

}  // namespace pippin

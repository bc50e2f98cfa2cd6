// Floats that begin at a cache line, so that no vector lies across two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace pippin {

constexpr std::align_val_t float_buffer_alignment{64};
constexpr int64_t floats_a_line = 16;

struct FreeFloats {
  void operator()(float* floats) const { ::operator delete[](floats, float_buffer_alignment); }
};
using FloatBuffer = std::unique_ptr<float[], FreeFloats>;

// Not initialized. Throws std::bad_alloc.
inline FloatBuffer float_buffer(int64_t count) {
  return FloatBuffer(
      static_cast<float*>(::operator new[](static_cast<size_t>(count) * sizeof(float), float_buffer_alignment)));
}

}  // namespace pippin

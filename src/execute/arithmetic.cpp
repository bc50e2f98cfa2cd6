#include "execute/arithmetic.h"

#include <algorithm>

#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t chunk = 512;  // elements that are widened to float32 at a time

template <typename T, typename Function>
void apply_with(T* x, const T* y, int64_t count, bool repeat_y, Function function) {
  if (repeat_y) {
    const T value = *y;
    for (int64_t i = 0; i < count; i++) x[i] = function(x[i], value);
  } else {
    for (int64_t i = 0; i < count; i++) x[i] = function(x[i], y[i]);
  }
}

template <typename T>
void apply_line(Arithmetic::Op op, T* x, const T* y, int64_t count, bool repeat_y) {
  switch (op) {
    case Arithmetic::Op::add:
      return apply_with(x, y, count, repeat_y, [](T a, T b) { return a + b; });
    case Arithmetic::Op::subtract:
      return apply_with(x, y, count, repeat_y, [](T a, T b) { return a - b; });
    case Arithmetic::Op::multiply:
      return apply_with(x, y, count, repeat_y, [](T a, T b) { return a * b; });
    case Arithmetic::Op::divide:
      return apply_with(x, y, count, repeat_y, [](T a, T b) { return a / b; });
    case Arithmetic::Op::maximum:
      return apply_with(x, y, count, repeat_y, [](T a, T b) { return a != a || a > b ? a : b; });  // NOLINT: NaN stays
  }
}

void apply_narrow_line(Arithmetic::Op op, DType dtype, std::byte* x, const std::byte* y, int64_t count, bool repeat_y) {
  float wide_x[chunk];
  float wide_y[chunk];
  if (repeat_y) cast(dtype, y, DType::F32, wide_y, 1);
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t size = std::min(chunk, count - begin);
    cast(dtype, x + begin * 2, DType::F32, wide_x, size);
    if (!repeat_y) cast(dtype, y + begin * 2, DType::F32, wide_y, size);
    apply_line(op, wide_x, wide_y, size, repeat_y);
    cast(DType::F32, wide_x, dtype, x + begin * 2, size);
  }
}

void apply_any_line(Arithmetic::Op op, DType dtype, std::byte* x, const std::byte* y, int64_t count, bool repeat_y) {
  if (dtype == DType::F32)
    apply_line(op, reinterpret_cast<float*>(x), reinterpret_cast<const float*>(y), count, repeat_y);
  else if (dtype == DType::F64)
    apply_line(op, reinterpret_cast<double*>(x), reinterpret_cast<const double*>(y), count, repeat_y);
  else
    apply_narrow_line(op, dtype, x, y, count, repeat_y);
}

// y's stride along each axis of x: 0 where y repeats.
Strides broadcast_strides(const Box& x, const Box& y) {
  const Strides dense = dense_strides(y);
  const int lead = x.rank - y.rank;
  Strides strides{};
  for (int k = 0; k < y.rank; k++) strides[lead + k] = y.extent(k) == 1 ? 0 : dense[k];
  return strides;
}

}  // namespace

void apply_arithmetic(Arithmetic::Op op, DType dtype, const Box& x_box, std::byte* x, const Box& y_box,
                      const std::byte* y) {
  const auto size = static_cast<int64_t>(size_of(dtype));
  const Strides strides = broadcast_strides(x_box, y_box);
  // The line is as many of the last axes as y goes through, or does not move along, as one.
  int axis = x_box.rank;
  int64_t line = 1;
  bool repeat_y = true;
  while (axis > 0) {
    const int64_t stride = strides[axis - 1];
    const bool wide = x_box.extent(axis - 1) > 1;
    if (wide && line > 1 && stride != (repeat_y ? 0 : line)) break;
    if (wide && line == 1) repeat_y = stride == 0;
    line *= x_box.extent(--axis);
  }
  std::array<int64_t, max_rank> at{};
  int64_t offset = 0;
  while (true) {
    apply_any_line(op, dtype, x, y + offset * size, line, repeat_y);
    x += line * size;
    int k = axis - 1;
    for (; k >= 0; k--) {
      offset += strides[k];
      if (++at[k] < x_box.extent(k)) break;
      offset -= strides[k] * x_box.extent(k);
      at[k] = 0;
    }
    if (k < 0) return;
  }
}

}  // namespace pippin

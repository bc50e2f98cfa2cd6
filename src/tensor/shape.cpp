#include "tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pippin {

std::optional<int64_t> checked_element_count(const Shape& shape) {
  int64_t count = 1;
  bool zero = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0)
      zero = true;
    else if (__builtin_mul_overflow(count, dimension, &count))
      return std::nullopt;
  }
  return zero ? 0 : count;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace pippin

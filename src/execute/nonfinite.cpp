#include "execute/nonfinite.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "source/quoted_text.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr const char* way_out = "get a sound copy of the model, or give --allow-nonfinite to convert it as it is";

// Which bit patterns of an 8-bit float are NaN or infinite.
bool is_nonfinite_byte(DType dtype, uint8_t bits) {
  switch (dtype) {
    case DType::F8_E4M3:
      return (bits & 0x7f) == 0x7f;
    case DType::F8_E5M2:
      return (bits & 0x7c) == 0x7c;
    case DType::F8_E8M0:
      return bits == 0xff;
    default:
      return false;
  }
}

int64_t count_bytes(DType dtype, const std::byte* values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) found += is_nonfinite_byte(dtype, static_cast<uint8_t>(values[i])) ? 1 : 0;
  return found;
}

bool is_eight_bit_float(DType dtype) {
  return dtype == DType::F8_E4M3 || dtype == DType::F8_E5M2 || dtype == DType::F8_E8M0;
}

// The largest power of two that the dtype holds, and whether it holds infinity, is all that tells about overflow.
int exponent_range(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return 16;
    case DType::BF16:
    case DType::F32:
      return 128;
    case DType::F64:
      return 1024;
    case DType::F8_E4M3:
      return 9;
    case DType::F8_E5M2:
      return 16;
    case DType::F8_E8M0:
      return 128;
    case DType::U8:
      return 8;
    case DType::BOOL:
      return 1;
    case DType::I8:
      return 8;
    default:
      return 64;
  }
}

}  // namespace

bool may_be_nonfinite(DType dtype) {
  return is_floating(dtype) || is_eight_bit_float(dtype);
}

bool cast_may_overflow(DType from, DType to) {
  if (!is_floating(to)) return false;
  // F32 to BF16 has the same range, but values close to its end round up to infinity.
  if (from == DType::F32 && to == DType::BF16) return true;
  return exponent_range(from) > exponent_range(to);
}

int64_t count_nonfinite_values(DType dtype, const std::byte* values, int64_t count) {
  if (is_floating(dtype)) return count_nonfinite(dtype, values, count);
  return is_eight_bit_float(dtype) ? count_bytes(dtype, values, count) : 0;
}

int64_t find_nonfinite(DType dtype, const std::byte* values, int64_t count) {
  constexpr int64_t block = 4096;
  const auto size = static_cast<int64_t>(size_of(dtype));
  for (int64_t begin = 0; begin < count; begin += block) {
    const int64_t end = std::min(begin + block, count);
    if (count_nonfinite_values(dtype, values + begin * size, end - begin) == 0) continue;
    for (int64_t i = begin; i < end; i++) {
      if (count_nonfinite_values(dtype, values + i * size, 1) != 0) return i;
    }
  }
  return count;
}

std::string value_text(DType dtype, const std::byte* value) {
  double number = 0;
  cast(dtype, value, DType::F64, &number, 1);
  return std::isnan(number) ? "nan" : fmt::format("{}", number);
}

Error nonfinite_error(const std::string& name, const Box& box, DType dtype, const std::byte* values, int64_t position) {
  const std::byte* value = values + position * static_cast<int64_t>(size_of(dtype));
  return Error{ErrorTag::nonfinite,
               "weights are finite numbers",
               fmt::format("{}{} is {}", in_quotes(name), place_of(box, position), value_text(dtype, value)),
               way_out,
               {}};
}

Error overflow_error(const std::string& name, const Box& box, DType dtype, int64_t position,
                     const std::string& before) {
  return Error{ErrorTag::nonfinite,
               "weights stay finite when they are converted",
               fmt::format("{}{}{} becomes infinite or NaN as {}", in_quotes(name), place_of(box, position),
                           before.empty() ? "" : " (" + before + ")", name_of(dtype)),
               "choose a dtype with a larger range (--dtype bfloat16), or give --allow-nonfinite",
               {}};
}

}  // namespace pippin

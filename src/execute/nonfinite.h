// NaN and infinity among the values of a conversion.
#pragma once

#include <cstdint>
#include <string>

#include "execute/box.h"
#include "pippin/dtype.h"
#include "pippin/error.h"

namespace pippin {

// Whether values of the dtype can be NaN or infinite; 8-bit floats can.
bool may_be_nonfinite(DType dtype);

// Whether a cast can turn a finite value into an infinite one.
bool cast_may_overflow(DType from, DType to);

// How many of `count` values are NaN or infinite. Any dtype.
int64_t count_nonfinite_values(DType dtype, const std::byte* values, int64_t count);

// Position of the first such value, or count.
int64_t find_nonfinite(DType dtype, const std::byte* values, int64_t count);

// One value as text: "nan", "-inf", "1e+05".
std::string value_text(DType dtype, const std::byte* value);

// The error of a source tensor's value: `box` of `name`, of which values[position] is not finite.
Error nonfinite_error(const std::string& name, const Box& box, DType dtype, const std::byte* values, int64_t position);

// The error of an operation whose finite inputs gave an infinite or undefined result. before: the value, where known.
Error overflow_error(const std::string& name, const Box& box, DType dtype, int64_t position, const std::string& before);

}  // namespace pippin

// Shapes: row-major dimensions, outermost first. A scalar has the empty shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pippin {

using Shape = std::vector<int64_t>;

// Number of elements, or nothing where a dimension is negative or the product does not fit int64.
std::optional<int64_t> checked_element_count(const Shape& shape);

// Number of elements of a shape already checked.
int64_t element_count(const Shape& shape);

// "[128, 64]"
std::string to_string(const Shape& shape);

}  // namespace pippin

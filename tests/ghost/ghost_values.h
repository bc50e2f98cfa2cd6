// The formula of ghost checkpoints, element by element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pippin {

// Bytes of one element; throws where the dtype is unknown.
size_t ghost_element_size(std::string_view dtype);

// Writes elements first, first + 1, ... of a tensor, as many as fit `out`.
void fill_ghost(std::string_view name, std::string_view dtype, const nlohmann::ordered_json& fill, uint64_t first,
                std::span<std::byte> out);

}  // namespace pippin

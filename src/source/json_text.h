// JSON as Python's json module reads it: a byte order mark is skipped, NaN and Infinity literals are accepted.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

// Parses text; NaN, Infinity and -Infinity literals become {"__float__": "NaN"} and so on, as transformers tags them.
// Nesting deeper than 200 levels is refused. where: for messages.
Result<nlohmann::ordered_json> parse_json(std::string_view text, std::string_view where);

// Reads and parses a file of at most 64 MiB.
Result<nlohmann::ordered_json> read_json(const std::filesystem::path& path);

}  // namespace pippin

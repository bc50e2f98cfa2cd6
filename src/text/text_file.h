// Whole small files as text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "pippin/error.h"

namespace pippin {

// Reads a file of at most limit bytes; a longer one is an Error.
Result<std::string> read_text_file(const std::filesystem::path& path, std::uintmax_t limit);

}  // namespace pippin

// Recognises files that are not what their name says: Git LFS pointers, saved web pages, other weight formats.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin {

// How many bytes of a file's begin are enough for error_of_foreign_file().
inline constexpr size_t foreign_file_probe = 160;

// The error that explains what the file is, where its first bytes show that it is something else; otherwise nothing.
// begin: the first bytes, at most foreign_file_probe are looked at. name: for messages.
std::optional<Error> error_of_foreign_file(std::string_view begin, std::string_view name);

}  // namespace pippin

// What names a content on the Hub: the sha256 of a large file, git's blob id of any other.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "pippin/error.h"

namespace pippin {

// The id of the first `size` bytes of an open file, of the kind of `like`: 64 digits sha256, 40 digits git's id.
// Reads in blocks of 1 MiB. stopped: asked between blocks; true ends it (interrupted). path: for messages.
Result<std::string> content_id_of(int file, uint64_t size, const std::string& like, const std::string& path,
                                  const std::function<bool()>& stopped = nullptr);

}  // namespace pippin

// The memory that a model needs, and the memory there is.
#pragma once

#include <cstdint>
#include <filesystem>

#include "pippin/error.h"

namespace pippin {

// Bytes that a process can have without swapping: what the system calls available, or what the cgroup leaves. 0 where
// the system does not say.
uint64_t available_memory();

// An error (no_space) where `bytes` do not fit.
Status check_fit(uint64_t bytes, const std::filesystem::path& model);

}  // namespace pippin

// The most memory that was used so far.
#pragma once

#include <cstdint>

namespace pippin {

// Bytes: of the process where models run on the CPU, else what MLX had of the device.
uint64_t peak_memory_of_run();

}  // namespace pippin

#include "generate/peak_memory.h"

#include <sys/resource.h>

#include <mlx/device.h>
#include <mlx/memory.h>

namespace pippin {

uint64_t peak_memory_of_run() {
  if (mlx::core::default_device() == mlx::core::Device::gpu) return mlx::core::get_peak_memory();
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return static_cast<uint64_t>(usage.ru_maxrss);
#else
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

}  // namespace pippin

#include "runtime/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include <fmt/format.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#include <sys/types.h>
#endif

namespace pippin {
namespace {

#ifndef __APPLE__
std::optional<uint64_t> number_of_file(const char* path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

std::optional<uint64_t> meminfo_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::string unit;
  uint64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return std::nullopt;
}
#endif

}  // namespace

uint64_t available_memory() {
#ifdef __APPLE__
  uint64_t bytes = 0;
  size_t size = sizeof bytes;
  return sysctlbyname("hw.memsize", &bytes, &size, nullptr, 0) == 0 ? bytes : 0;
#else
  uint64_t available = meminfo_available().value_or(0);
  const auto limit = number_of_file("/sys/fs/cgroup/memory.max");
  const auto used = number_of_file("/sys/fs/cgroup/memory.current");
  if (limit && used && *limit > *used) available = std::min(available, *limit - *used);
  return available;
#endif
}

Status check_fit(uint64_t bytes, const std::filesystem::path& model) {
  const uint64_t available = available_memory();
  if (available == 0 || bytes <= available) return {};
  constexpr double gb = 1e9;
  return fail(ErrorTag::no_space, "a model's weights fit into the memory",
              fmt::format("{}: {:.1f} GB of weights, {:.1f} GB of memory available", model.string(),
                          static_cast<double>(bytes) / gb, static_cast<double>(available) / gb),
              "quantize the model (pippin convert -q), or close other programs");
}

}  // namespace pippin

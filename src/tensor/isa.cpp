#include "tensor/isa.h"

#include <cstdlib>
#include <string>

#include "hwy/targets.h"

namespace pippin {

std::string_view forced_isa() {
  static const std::string name = [] {
    const char* value = std::getenv("PIPPIN_ISA");
    return std::string(value == nullptr ? "" : value);
  }();
  return name;
}

int64_t supported_targets() {
  return hwy::SupportedTargets();
}

}  // namespace pippin

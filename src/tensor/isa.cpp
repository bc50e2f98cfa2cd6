#include "tensor/isa.h"

#include <cstdlib>
#include <string>

namespace pippin {

std::string_view forced_isa() {
  static const std::string name = [] {
    const char* value = std::getenv("PIPPIN_ISA");
    return std::string(value == nullptr ? "" : value);
  }();
  return name;
}

}  // namespace pippin

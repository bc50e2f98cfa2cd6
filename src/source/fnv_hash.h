// FNV-1a with 64 bits (Fowler, Noll, Vo): tells contents apart, no protection against anybody.
#pragma once

#include <cstdint>
#include <string_view>

namespace pippin {

class FnvHash {
 public:
  void add(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<uint8_t>(c));
  }
  [[nodiscard]] uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace pippin

// The bytes of a safetensors file from its header's text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pippin {

inline std::string length_field(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i) & 0xFF);
  return bytes;
}

inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return length_field(header.size()) + std::string(header) + std::string(data);
}

// A file with one U8 tensor.
inline std::string one_tensor(std::string_view name, std::string_view data) {
  const std::string size = std::to_string(data.size());
  return safetensors_bytes(
      "{\"" + std::string(name) + R"(":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}}",
      data);
}

}  // namespace pippin

// Golden files: JSON whose byte strings are in base64.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

inline nlohmann::json golden_file(const char* name) {
  std::ifstream in(std::string(PIPPIN_SOURCE_DIR "/tests/quantize/") + name);
  return nlohmann::json::parse(in);
}

inline std::string from_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t held = 0;
  int bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    held = held << 6 | static_cast<uint32_t>(digits.find(c));
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(held >> (bits -= 8));
  }
  return bytes;
}

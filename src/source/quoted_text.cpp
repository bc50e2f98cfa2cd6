#include "source/quoted_text.h"

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr size_t longest = 120;

// Length of the well-formed UTF-8 sequence at the begin of text, or 0.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!follows(1) || !follows(2)) return 0;
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool too_large = first == 0xF4 && byte(1) > 0x8F;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

// Appends what fits, escaped, and gives how many bytes of the text that were.
size_t append_escaped(std::string_view text, std::string& out) {
  size_t at = 0;
  while (at < text.size() && out.size() <= longest) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const size_t length = sequence_length(text.substr(at));
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return at;
}

std::string escaped(std::string_view text, std::string_view quote) {
  std::string out(quote);
  const size_t shown = append_escaped(text, out);
  out += quote;
  if (shown < text.size()) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  return escaped(text, "\"");
}

std::string printable(std::string_view text) {
  return escaped(text, "");
}

}  // namespace pippin

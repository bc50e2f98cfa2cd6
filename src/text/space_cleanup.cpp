#include "text/space_cleanup.h"

#include <array>
#include <utility>

namespace pippin {
namespace {

// The longest text that is replaced has four bytes and starts with a space.
constexpr std::size_t longest = 4;

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> replacements = {{{" .", "."},
                                                                                         {" ?", "?"},
                                                                                         {" !", "!"},
                                                                                         {" ,", ","},
                                                                                         {" ' ", "'"},
                                                                                         {" n't", "n't"},
                                                                                         {" 'm", "'m"},
                                                                                         {" 's", "'s"},
                                                                                         {" 've", "'ve"},
                                                                                         {" 're", "'re"}}};

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t start = 0;
  for (std::size_t found = text.find(from); found != std::string_view::npos; found = text.find(from, start)) {
    out.append(text.substr(start, found - start)).append(to);
    start = found + from.size();
  }
  return out.append(text.substr(start));
}

}  // namespace

std::string cleaned_up(std::string text) {
  for (const auto& [from, to] : replacements) text = replaced(text, from, to);
  return text;
}

std::size_t settled_length(std::string_view text) {
  for (std::size_t end = text.size(); end >= longest; --end)
    if (text.substr(end - longest, longest).find(' ') == std::string_view::npos) return end;
  return 0;
}

}  // namespace pippin

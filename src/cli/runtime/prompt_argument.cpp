#include <iostream>
#include <iterator>
#include <string_view>

#include "cli/runtime/runs.h"

namespace pippin::cli {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

std::string prompt_argument(const std::string& given, bool escapes) {
  std::string text = given;
  if (escapes) {
    replace_all(text, "\\n", "\n");
    replace_all(text, "\\t", "\t");
  }
  if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
  return text;
}

}  // namespace pippin::cli

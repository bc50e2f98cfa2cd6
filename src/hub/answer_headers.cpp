#include "hub/answer_headers.h"

#include <cctype>
#include <charconv>

namespace pippin {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// The number behind ";NAME=" of a RateLimit header.
std::optional<uint64_t> parameter(std::string_view value, std::string_view name) {
  size_t at = 0;
  while ((at = value.find(';', at)) != std::string_view::npos) {
    ++at;
    const auto row = trimmed(value.substr(at, value.find_first_of(";,", at) - at));
    if (row.starts_with(name) && row.size() > name.size() && row[name.size()] == '=')
      return number_of(trimmed(row.substr(name.size() + 1)));
  }
  return std::nullopt;
}

}  // namespace

void AnswerHeaders::add(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || rows_.size() >= 1000) return;
  std::string name(trimmed(line.substr(0, colon)));
  for (auto& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  rows_.push_back({std::move(name), std::string(trimmed(line.substr(colon + 1)))});
}

std::string_view AnswerHeaders::get(std::string_view name) const {
  for (const auto& row : rows_) {
    if (row.name == name) return row.value;
  }
  return {};
}

std::optional<uint64_t> number_of(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (code != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<ContentRange> content_range(std::string_view value) {
  value = trimmed(value);
  if (!value.starts_with("bytes ")) return std::nullopt;
  value = trimmed(value.substr(6));
  const size_t dash = value.find('-');
  const size_t slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto first = number_of(value.substr(0, dash));
  const auto last = number_of(value.substr(dash + 1, slash - dash - 1));
  const auto total = number_of(value.substr(slash + 1));
  if (!first || !last || !total || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{*first, *last + 1, *total};
}

std::optional<std::string> next_link(std::string_view value) {
  while (true) {
    const size_t open = value.find('<');
    const size_t close = value.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const size_t following = value.find('<', close);
    const auto parameters =
        value.substr(close + 1, following == std::string_view::npos ? following : following - close - 1);
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos)
      return std::string(value.substr(open + 1, close - open - 1));
    if (following == std::string_view::npos) return std::nullopt;
    value = value.substr(following);
  }
}

std::optional<uint64_t> seconds_to_wait(const AnswerHeaders& headers) {
  const auto limit = headers.get("ratelimit");
  if (parameter(limit, "r") == uint64_t{0}) {
    if (const auto seconds = parameter(limit, "t")) return seconds;
  }
  return number_of(headers.get("retry-after"));
}

}  // namespace pippin

// What the headers of an answer say. Everything here reads untrusted text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pippin {

// Headers of one answer, names in lower case, in their order.
class AnswerHeaders {
 public:
  void add(std::string_view line);  // "Name: value\r\n"; anything else is skipped
  void clear() { rows_.clear(); }
  // The first value of a name given in lower case; empty where there is none.
  [[nodiscard]] std::string_view get(std::string_view name) const;

 private:
  struct Row {
    std::string name;
    std::string value;
  };
  std::vector<Row> rows_;
};

struct ContentRange {
  uint64_t begin;  // first byte
  uint64_t end;    // one past the last
  uint64_t total;  // of the whole file
  bool operator==(const ContentRange&) const = default;
};

// "bytes 0-99/1000", consistent in itself: begin < end <= total.
std::optional<ContentRange> content_range(std::string_view value);

// The address of rel="next" in a Link header.
std::optional<std::string> next_link(std::string_view value);

// Seconds that a 429 or 503 asks to wait: Retry-After: N, or RateLimit: "api";r=0;t=N.
std::optional<uint64_t> seconds_to_wait(const AnswerHeaders& headers);

// Digits only, no overflow.
std::optional<uint64_t> number_of(std::string_view digits);

}  // namespace pippin

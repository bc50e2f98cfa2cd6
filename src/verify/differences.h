// A list of what differs, kept short for messages.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace pippin {

// Keeps the first 20 and counts the rest.
class Differences {
 public:
  void add(std::string text) {
    if (++count_ <= most_listed) listed_.push_back(std::move(text));
  }

  [[nodiscard]] size_t count() const { return count_; }

  // One a line, and "and 5 more".
  [[nodiscard]] std::vector<std::string> lines() const {
    auto lines = listed_;
    if (count_ > most_listed) lines.push_back("and " + std::to_string(count_ - most_listed) + " more");
    return lines;
  }

 private:
  static constexpr size_t most_listed = 20;
  std::vector<std::string> listed_;
  size_t count_ = 0;
};

}  // namespace pippin

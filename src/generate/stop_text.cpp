#include "generate/stop_text.h"

#include <algorithm>
#include <utility>

namespace pippin {
namespace {

// The largest k < stop.size() such that text ends with the first k bytes of stop.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t k = std::min(text.size(), stop.size() - 1); k > 0; --k) {
    if (text.substr(text.size() - k) == stop.substr(0, k)) return k;
  }
  return 0;
}

}  // namespace

StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

std::string StopText::add(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  size_t first = std::string::npos;
  size_t held = 0;
  for (const auto& stop : stops_) {
    first = std::min(first, held_.find(stop));
    held = std::max(held, begun(held_, stop));
  }
  found_ = first != std::string::npos;
  const size_t length = found_ ? first : held_.size() - held;
  std::string out = held_.substr(0, length);
  held_.erase(0, found_ ? held_.size() : length);
  return out;
}

std::string StopText::finish() {
  return std::exchange(held_, std::string());
}

}  // namespace pippin

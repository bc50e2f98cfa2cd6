#include "cli/progress_line.h"
#include "cli/json_output.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace pippin::cli {
namespace {

constexpr double first_after = 0.5;   // seconds
constexpr double at_most_each = 0.1;  // seconds between two lines

double share_of(uint64_t done, uint64_t total) {
  return total > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total) : 100.0;
}

std::string json_of(const std::vector<FileProgress>& files) {
  if (files.empty()) return {};
  auto rows = nlohmann::ordered_json::array();
  for (const auto& file : files) rows.push_back({{"name", file.name}, {"done", file.done}, {"total", file.total}});
  return ", \"files\": " + json_text(rows, -1);
}

}  // namespace

ProgressStyle progress_style(const std::string& asked, bool quiet) {
  if (asked == "json") return ProgressStyle::json;
  if (quiet || asked == "none") return ProgressStyle::none;
  if (asked == "line") return ProgressStyle::line;
  return is_terminal(Stream::error) ? ProgressStyle::line : ProgressStyle::none;
}

ProgressLine::~ProgressLine() {
  clear();
}

double ProgressLine::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::string ProgressLine::amount(double count) const {
  return unit_ == ProgressUnit::bytes ? bytes_text(count) : fmt::format("{:.0f}", count);
}

void ProgressLine::show(uint64_t done, uint64_t total, const std::vector<FileProgress>& files) {
  const double now = seconds();
  const bool last = done >= total;
  if (style_ == ProgressStyle::none || (!last && now - last_shown_ < at_most_each)) return;
  const double rate = now > 0 ? static_cast<double>(done) / now : 0;
  const double left = rate > 0 ? static_cast<double>(total - done) / rate : 0;
  if (style_ == ProgressStyle::json) {
    last_shown_ = now;
    fmt::print(stderr,
               "{{\"event\": \"progress\", \"what\": \"{}\", \"done\": {}, \"total\": {}, \"{}\": {:.{}f}, "
               "\"eta_seconds\": {:.1f}{}}}\n",
               what_, done, total, unit_ == ProgressUnit::bytes ? "bytes_per_second" : "per_second", rate,
               unit_ == ProgressUnit::bytes ? 0 : 2, left, json_of(files));
    return;
  }
  if (now < first_after) return;
  last_shown_ = now;
  visible_ = true;
  std::string text =
      fmt::format("{} {:3.0f} %  {} of {}  {}/s  ETA {}", what_, share_of(done, total),
                  amount(static_cast<double>(done)), amount(static_cast<double>(total)),
                  unit_ == ProgressUnit::bytes ? bytes_text(rate) : fmt::format("{:.2f}", rate), duration_text(left));
  for (const auto& file : files) text += fmt::format("  {} {:.0f} %", file.name, share_of(file.done, file.total));
  const auto width = static_cast<size_t>(columns_of_terminal() - 1);
  if (text.size() > width) text.resize(width);
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
}

void ProgressLine::clear() {
  if (!visible_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  visible_ = false;
}

}  // namespace pippin::cli

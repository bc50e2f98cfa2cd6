// Progress of a long run: a line that renews itself on a terminal, or JSON lines for machines, or nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace pippin::cli {

enum class ProgressStyle : uint8_t { none, line, json };

// "auto": a line on a terminal, else nothing. Also "line", "json", "none".
ProgressStyle progress_style(const std::string& asked, bool quiet);

// What done and total count.
enum class ProgressUnit : uint8_t { bytes, items };

// A part of the work, in the same unit as the whole.
struct FileProgress {
  std::string name;
  uint64_t done;
  uint64_t total;
};

// Writes to the error stream. Nothing appears in the first half second, so short runs stay silent on a terminal.
class ProgressLine {
 public:
  ProgressLine(ProgressStyle style, std::string what, ProgressUnit unit = ProgressUnit::bytes)
      : style_(style), what_(std::move(what)), unit_(unit) {}
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // files: those under way, if the work goes by files.
  void show(uint64_t done, uint64_t total, const std::vector<FileProgress>& files = {});
  void clear();

 private:
  [[nodiscard]] double seconds() const;
  [[nodiscard]] std::string amount(double count) const;

  ProgressStyle style_;
  std::string what_;
  ProgressUnit unit_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double last_shown_ = -1;
  bool visible_ = false;
};

}  // namespace pippin::cli

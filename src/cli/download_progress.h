// Progress of a download: all of it, and the files that are on their way.
#pragma once

#include <atomic>
#include <string>

#include "cli/progress_line.h"
#include "pippin/hub.h"

namespace pippin::cli {

class DownloadProgressLine {
 public:
  explicit DownloadProgressLine(ProgressStyle style, std::string what = "downloading")
      : line_(style, std::move(what)) {}

  // Hooks that show what comes; the object outlives them.
  DownloadHooks hooks(const std::atomic<bool>& cancelled);
  void clear() { line_.clear(); }

 private:
  ProgressLine line_;
};

}  // namespace pippin::cli

// Uploads: their progress, and their report as text and JSON.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/progress_line.h"
#include "pippin/hub.h"

namespace pippin::cli {

// A line for the reading of the files, and one for the sending.
class UploadProgressLine {
 public:
  explicit UploadProgressLine(ProgressStyle style) : style_(style) {}

  // Hooks that show what goes; the object outlives them.
  UploadHooks hooks(const std::atomic<bool>& cancelled);
  void clear();

 private:
  void show(const UploadProgress& progress);

  ProgressStyle style_;
  UploadProgress::Stage stage_ = UploadProgress::Stage::reading;
  std::optional<ProgressLine> line_;
};

std::string upload_text(const UploadReport& report);
nlohmann::ordered_json upload_json(const UploadReport& report);

}  // namespace pippin::cli

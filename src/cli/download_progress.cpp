#include "cli/download_progress.h"

#include <vector>

namespace pippin::cli {
namespace {

std::vector<FileProgress> files_of(const DownloadProgress& progress) {
  std::vector<FileProgress> files;
  for (const auto& file : progress.current) files.push_back({file.name, file.done, file.size});
  return files;
}

}  // namespace

DownloadHooks DownloadProgressLine::hooks(const std::atomic<bool>& cancelled) {
  DownloadHooks hooks;
  hooks.cancelled = &cancelled;
  hooks.progress = [this](const DownloadProgress& progress) {
    line_.show(progress.done, progress.total, files_of(progress));
  };
  return hooks;
}

}  // namespace pippin::cli

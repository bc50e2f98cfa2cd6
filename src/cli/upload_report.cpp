#include "cli/upload_report.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/terminal.h"

namespace pippin::cli {
namespace {

constexpr size_t most_names = 8;

std::string names_text(std::vector<std::string> names) {
  if (names.size() > most_names) {
    const size_t more = names.size() - most_names;
    names.resize(most_names);
    names.push_back(fmt::format("and {} more", more));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

UploadHooks UploadProgressLine::hooks(const std::atomic<bool>& cancelled) {
  UploadHooks hooks;
  hooks.cancelled = &cancelled;
  hooks.progress = [this](const UploadProgress& progress) { show(progress); };
  return hooks;
}

void UploadProgressLine::show(const UploadProgress& progress) {
  if (!line_ || stage_ != progress.stage) {
    stage_ = progress.stage;
    line_.reset();
    line_.emplace(style_, stage_ == UploadProgress::Stage::reading ? "reading" : "uploading");
  }
  std::vector<FileProgress> files;
  for (const auto& file : progress.current) files.push_back({file.name, file.done, file.size});
  line_->show(progress.done, progress.total, files);
}

void UploadProgressLine::clear() {
  if (line_) line_->clear();
}

std::string upload_text(const UploadReport& report) {
  const auto sent = static_cast<size_t>(std::ranges::count_if(report.files, &UploadedFile::sent));
  std::string text = fmt::format("{} at {} ({}){}\n", report.repo, report.revision, report.commit.substr(0, 12),
                                 report.created ? ", a new repository" : "");
  text += fmt::format("files       {}, {}\n", report.files.size(), bytes_text(static_cast<double>(report.bytes)));
  if (!report.committed) {
    text += "uploaded    nothing: all were there\n";
  } else {
    const auto bytes = static_cast<double>(report.bytes_sent);
    text += fmt::format("uploaded    {} files, {} in {:.1f} s, {}/s{}\n", sent, bytes_text(bytes), report.seconds,
                        bytes_text(report.seconds > 0 ? bytes / report.seconds : 0),
                        sent < report.files.size() ? "; the Hub had the others" : "");
  }
  if (!report.left_out.empty()) text += fmt::format("left out    {}\n", names_text(report.left_out));
  text += fmt::format("{} {}\n", report.pull_request ? "proposed at" : "it is at  ", report.url);
  return text;
}

nlohmann::ordered_json upload_json(const UploadReport& report) {
  nlohmann::ordered_json json = {{"repo", report.repo},
                                 {"revision", report.revision},
                                 {"commit", report.commit},
                                 {"url", report.url},
                                 {"created", report.created},
                                 {"committed", report.committed},
                                 {"pull_request", report.pull_request},
                                 {"bytes", report.bytes},
                                 {"bytes_sent", report.bytes_sent},
                                 {"seconds", report.seconds},
                                 {"left_out", report.left_out},
                                 {"files", nlohmann::ordered_json::array()}};
  for (const auto& file : report.files)
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"sent", file.sent}});
  return json;
}

}  // namespace pippin::cli

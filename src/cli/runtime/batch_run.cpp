#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "cli/exit_status.h"
#include "cli/progress_line.h"
#include "cli/runtime/runs.h"
#include "cli/signals.h"
#include "pippin/batch.h"

namespace pippin::cli {
namespace {

Result<std::vector<std::string>> lines_of(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return fail(ErrorTag::not_found, "the file of prompts is there", path, "--batch FILE.jsonl");
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (in.bad()) return fail(ErrorTag::io, "the file of prompts can be read", path);
  return lines;
}

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdout) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// Answers of an earlier run are never overwritten: they may have taken hours.
Result<File> output_of(const std::string& path) {
  if (path.empty()) return File(stdout);
  File file(std::fopen(path.c_str(), "wx"));
  if (file) return file;
  return fail(ErrorTag::destination, "the output is a new file that can be written",
              path + ": " + std::generic_category().message(errno), "--output FILE");
}

void print_report(const BatchReport& report) {
  fmt::print(stderr, "Answered: {}; failed: {}; {} tokens in {:.1f} s\n", report.answered, report.failed,
             report.generated_tokens, report.seconds);
  if (report.left > 0) fmt::print(stderr, "Interrupted: the last {} were not answered.\n", report.left);
  if (report.first_error) fmt::print(stderr, "The first that failed: {}\n", report.first_error->message());
}

}  // namespace

Result<int> run_batch(const Model& model, const Prompt& defaults, const GenerateArguments& a, const Common& common) {
  PIPPIN_TRY(const std::vector<std::string> lines, lines_of(a.batch));
  std::optional<PromptCache> cache;
  if (!a.prompt_cache_file.empty()) {
    PIPPIN_TRY(cache, PromptCache::open(model, a.prompt_cache_file, a.model.model, a.options));
  }
  PIPPIN_TRY(const File output, output_of(a.output));
  ProgressLine progress(progress_style(a.model.progress, common.quiet), "prompts", ProgressUnit::items);
  const auto blank = static_cast<uint64_t>(std::count_if(lines.begin(), lines.end(), is_blank_line));
  const uint64_t total = lines.size() - blank;
  uint64_t done = 0;
  const auto keep = [&](const BatchResult& result) -> Status {
    progress.show(++done, total);
    const std::string line = json_line(result) + '\n';
    const bool written = std::fwrite(line.data(), 1, line.size(), output.get()) == line.size();
    if (written && std::fflush(output.get()) == 0) return {};
    return fail(ErrorTag::destination, "answers can be written", a.output.empty() ? "standard output" : a.output);
  };
  PIPPIN_TRY(const BatchReport report,
             generate_batch(model, lines, defaults, a.options, cache ? &*cache : nullptr, keep));
  progress.clear();
  if (!common.quiet) print_report(report);
  if (report.left > 0) return exit_status_of(ErrorTag::interrupted);
  return report.first_error ? exit_status_of(report.first_error->tag) : 0;
}

}  // namespace pippin::cli

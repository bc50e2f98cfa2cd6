#include <cstdio>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/signals.h"
#include "cli/upload_report.h"
#include "pippin/hub.h"

namespace pippin::cli {
namespace {

struct UploadArguments {
  UploadOptions options;
  std::string folder;
  std::string progress = "auto";
};

Result<int> run_upload(UploadArguments& a, const Common& common) {
  a.options.folder = a.folder;
  UploadProgressLine progress(progress_style(a.progress, common.quiet || common.json));
  const auto report = upload(a.options, progress.hooks(stop_on_signals()));
  progress.clear();
  if (!report) return tl::unexpected<Error>(report.error());
  if (common.json)
    fmt::print("{}\n", json_text(upload_json(*report)));
  else if (common.quiet)
    fmt::print("{}\n", report->url);
  else
    fmt::print("{}", upload_text(*report));
  return 0;
}

}  // namespace

Run add_upload(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("upload", "Upload a folder to the Hugging Face Hub");
  auto a = std::make_shared<UploadArguments>();
  command.add_option("folder", a->folder, "Folder with the model")->required()->type_name("DIR");
  command.add_option("repo", a->options.repo, "Repository: org/name; made where it is missing")
      ->required()
      ->type_name("REPO");
  command.add_flag("--private", a->options.is_private, "Make the repository a private one");
  command.add_option("--revision", a->options.revision, "Branch; made where it is missing")->capture_default_str();
  command.add_flag("--upload-as-pr", a->options.as_pull_request, "Open a pull request, leave the branch as it is");
  command.add_option("--commit-message", a->options.message, "Message of the commit [Upload with pippin]");
  command.add_option("--connections", a->options.connections, "How many at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  add_progress_option(command, a->progress);
  add_common_flags(command, common);
  return [a, common] { return run_upload(*a, *common); };
}

}  // namespace pippin::cli

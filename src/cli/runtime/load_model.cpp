#include "cli/download_progress.h"
#include "cli/runtime/runs.h"
#include "cli/signals.h"
#include "pippin/hub.h"

namespace pippin::cli {
namespace {

Result<std::filesystem::path> folder_of(const ModelArguments& a, const Common& common) {
  std::error_code ignored;
  if (std::filesystem::exists(a.model, ignored) || !is_repo_name(a.model)) return std::filesystem::path(a.model);
  DownloadOptions wanted;
  wanted.repo = a.model;
  wanted.revision = a.revision;
  wanted.include = {"*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "*.tiktoken"};
  wanted.exclude = {"original/*", "onnx/*", "consolidated*"};
  DownloadProgressLine progress(progress_style(a.progress, common.quiet || common.json));
  const auto report = download(wanted, progress.hooks(stop_on_signals()));
  progress.clear();
  if (report) return report->folder;
  Error error = report.error();
  error.details.push_back("there is no folder " + a.model + " here, so the Hub was asked");
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

Result<Model> load_model(const ModelArguments& a, const Common& common) {
  PIPPIN_TRY(const std::filesystem::path folder, folder_of(a, common));
  ModelOptions options;
  sort_arch(a.arch, options.arch, options.arch_name);
  options.own_kernels = !a.mlx_kernels;
  return load(folder, options);
}

Result<std::optional<Model>> load_draft(const std::string& name, const ModelArguments& arguments,
                                        const Common& common) {
  if (name.empty()) return std::nullopt;
  ModelArguments draft = arguments;
  draft.model = name;
  draft.revision = "main";
  PIPPIN_TRY(Model model, load_model(draft, common));
  return std::optional<Model>(std::move(model));
}

}  // namespace pippin::cli

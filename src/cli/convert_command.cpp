#include <cctype>
#include <charconv>
#include <cstdio>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/download_progress.h"
#include "cli/json_output.h"
#include "cli/progress_line.h"
#include "cli/report_text.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/upload_report.h"
#include "pippin/convert_repo.h"

namespace pippin::cli {
namespace {

struct ConvertArguments {
  ConvertOptions options;
  std::string source;
  std::string destination;
  std::string hf_path;
  RepoSource repo;  // where the source is no folder
  std::string mlx_path;
  UploadOptions upload;  // where it has a repository
  std::vector<std::string> arch;
  std::string memory;
  std::string progress = "auto";
  std::string quant_method = "rtn";
  bool trust_remote_code = false;
  bool dry_run = false;
  bool no_cache = false;
  bool quantize = false;
};

// "256M", "1.5G", "800MB", "1000000": decimal and binary units as people write them, all taken as powers of 1024.
Result<uint64_t> memory_of(const std::string& text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end, text.data() + text.size());
  for (auto& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.ends_with("IB"))
    unit.resize(unit.size() - 2);
  else if (unit.ends_with("B") && unit.size() > 1)
    unit.resize(unit.size() - 1);
  const double factor = unit.empty() || unit == "B" ? 1
                        : unit == "K"               ? 1024.0
                        : unit == "M"               ? 1048576.0
                        : unit == "G"               ? 1073741824.0
                                                    : 0;
  const double bytes = number * factor;
  if (code != std::errc() || !(bytes >= 1048576.0) || bytes > 1e15) {
    return fail(ErrorTag::usage, "--memory is a size of at least 1M", "--memory " + text, "for example --memory 256M");
  }
  return static_cast<uint64_t>(bytes);
}

void add_reference_flags(CLI::App& command, ConvertArguments& a) {
  const char* group = "As mlx_lm.convert and mlx_vlm.convert";
  command.add_option("--hf-path,--model", a.hf_path, "Model to convert: a folder, or org/name on the Hugging Face Hub")
      ->group(group);
  command.add_option("--mlx-path", a.mlx_path, "Folder to write [mlx_model]")->group(group);
  command.add_option("--revision", a.repo.revision, "Branch, tag or commit of a repository")
      ->group(group)
      ->capture_default_str();
  command.add_flag("-q,--quantize", a.quantize, "Quantize the weights")->group(group);
  command.add_option("--q-bits", a.options.q_bits, "Bits per weight [4; mxfp8: 8]")->group(group);
  command.add_option("--q-group-size", a.options.q_group_size, "Weights that share a scale [64; mx: 32; nvfp4: 16]")
      ->group(group);
  command.add_option("--q-mode", a.options.q_mode, "affine, mxfp4, nvfp4 or mxfp8")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::IsMember({"affine", "mxfp4", "nvfp4", "mxfp8"}));
  command
      .add_option("--quant-predicate", a.options.quant_predicate,
                  "Mixed-bit recipe: a name such as mixed_4_6, or a recipe file")
      ->group(group);
  command.add_option("--dtype", a.options.dtype, "float16, bfloat16 or float32 [as config.json says]")
      ->group(group)
      ->check(CLI::IsMember({"float16", "bfloat16", "float32"}));
  command.add_flag("-d,--dequantize", a.options.dequantize, "Undo the quantization of an MLX model")->group(group);
  command.add_flag("--trust-remote-code", a.trust_remote_code, "Accepted; no code of a model is ever run")
      ->group(group);
  command.add_option("--quant-method", a.quant_method, "rtn; awq needs a calibration run, which pippin does not do")
      ->group(group)
      ->check(CLI::IsMember({"rtn"}));
}

void add_upload_flags(CLI::App& command, ConvertArguments& a) {
  const char* group = "Upload";
  auto* repo =
      command.add_option("--upload-repo", a.upload.repo, "Upload the output: org/name on the Hugging Face Hub")
          ->group(group)
          ->type_name("REPO");
  command.add_flag("--private", a.upload.is_private, "Make that repository a private one")->group(group)->needs(repo);
  command.add_flag("--upload-as-pr", a.upload.as_pull_request, "Open a pull request there")->group(group)->needs(repo);
}

void add_choice_flags(CLI::App& command, ConvertArguments& a) {
  const char* group = "What to convert to";
  command.add_option("--target", a.options.target, "mlx-lm, mlx-vlm or auto")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "mlx-lm", "mlx-vlm"}));
  command.add_option("--arch", a.arch, "Spec name, spec file or folder of specs")
      ->group(group)
      ->allow_extra_args(false);
  command
      .add_option("--quantize-module", a.options.quantize_modules,
                  "PATTERN=bits[,group[,mode]] for some modules; may be given several times")
      ->group(group)
      ->allow_extra_args(false);
  command.add_option("--keep", a.options.keep, "PATTERN of modules that stay unquantized; may be given several times")
      ->group(group)
      ->allow_extra_args(false);
  command.add_flag("--requantize", a.options.requantize, "Quantize anew what the source has quantized already")
      ->group(group);
  command.add_flag("--quantize-vision", a.options.quantize_vision, "Quantize vision parts too (mlx-vlm leaves them)")
      ->group(group);
  command.add_flag("--quantize-audio", a.options.quantize_audio, "Quantize audio parts too (mlx-vlm leaves them)")
      ->group(group);
  command.add_option("--rounding", a.options.rounding, "metal or cpu: whose arithmetic")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::IsMember({"metal", "cpu"}));
  command.add_flag("--allow-nonfinite", a.options.allow_nonfinite, "Let NaN and infinity through")->group(group);
}

void add_run_flags(CLI::App& command, ConvertArguments& a, const std::shared_ptr<Common>& common) {
  const char* group = "How to run";
  command.add_flag("--dry-run", a.dry_run, "Show the plan; read no weights, write nothing")->group(group);
  command.add_option("--memory", a.memory, "Memory for blocks of tensors [256M]")->group(group);
  command.add_option("--threads", a.options.threads, "Worker threads [one a processor]")
      ->group(group)
      ->check(CLI::Range(0, 1024));
  command.add_flag("--overwrite", a.options.overwrite, "Replace an earlier output, once the new one is complete")
      ->group(group);
  command
      .add_flag("--resume", a.options.resume,
                "Go on where an interrupted run stopped; of a repository, that is always so")
      ->group(group);
  command.add_flag("--no-cache", a.no_cache, "Keep no copy of a repository's files: needs disk for the output alone")
      ->group(group);
  add_progress_option(command, a.progress)->group(group);
  add_common_flags(command, common);
}

Status complete(ConvertArguments& a, const Common& common) {
  if (!a.source.empty() && !a.hf_path.empty()) {
    return fail(ErrorTag::usage, "one source", fmt::format("{} and --hf-path {}", a.source, a.hf_path),
                "give one of them");
  }
  if (!a.destination.empty() && !a.mlx_path.empty()) {
    return fail(ErrorTag::usage, "one destination", fmt::format("{} and --mlx-path {}", a.destination, a.mlx_path),
                "give one of them");
  }
  const std::string source = a.source.empty() ? a.hf_path : a.source;
  if (source.empty())
    return fail(ErrorTag::usage, "a source is needed", "none was given", "pippin convert SOURCE [DESTINATION]");
  a.options.source = source;
  std::error_code ignored;
  if (!std::filesystem::exists(source, ignored) && is_repo_name(source)) a.repo.repo = source;
  if (a.repo.repo.empty() && a.repo.revision != "main") {
    return fail(ErrorTag::usage, "a revision is one of a repository on the Hub", "--revision " + a.repo.revision,
                "give org/name as the source");
  }
  if (a.repo.repo.empty() && a.no_cache) {
    return fail(ErrorTag::usage, "--no-cache is about a repository on the Hub", source + " is a folder",
                "give org/name as the source, or leave --no-cache out");
  }
  a.repo.keep = !a.no_cache;
  const std::string destination = a.destination.empty() ? a.mlx_path : a.destination;
  if (!destination.empty()) a.options.destination = destination;
  sort_arch(a.arch, a.options.arch, a.options.arch_name);
  if (!a.memory.empty()) {
    PIPPIN_TRY(a.options.memory, memory_of(a.memory));
  }
  // A bit width, a recipe or an override asks for quantization; the references would ignore them without -q.
  a.options.quantize = a.quantize;
  a.options.output_name = a.upload.repo;
  a.options.command = common.command_line;
  if (!a.options.command.empty()) a.options.command[0] = "pippin";
  return {};
}

// Whoever mistyped a path is told that it was taken for a repository.
tl::unexpected<Error> told(Error error, const RepoSource& repo) {
  if (!repo.repo.empty() && (error.tag == ErrorTag::not_found || error.tag == ErrorTag::network))
    error.details.push_back(fmt::format("there is no folder {} here, so the Hub was asked", repo.repo));
  return tl::unexpected<Error>(std::move(error));
}

void print_warnings(const ConvertReport& report) {
  for (const auto& warning : report.warnings) fmt::print(stderr, "{} {}\n", yellow("warning:", Stream::error), warning);
}

// The conversion stays, whatever becomes of its upload.
Result<UploadReport> upload_output(ConvertArguments& a, const Common& common, const std::filesystem::path& folder) {
  a.upload.folder = folder;
  UploadProgressLine progress(progress_style(a.progress, common.quiet || common.json));
  auto report = upload(a.upload, progress.hooks(stop_on_signals()));
  progress.clear();
  if (!report) {
    Error error = report.error();
    error.details.push_back(fmt::format("the model is whole in {0}; `pippin upload {0} {1}` goes on with the upload",
                                        folder.string(), a.upload.repo));
    return tl::unexpected<Error>(std::move(error));
  }
  if (!common.json && !common.quiet) fmt::print("\n{}", upload_text(*report));
  return report;
}

Result<int> run_convert(ConvertArguments& a, const Common& common) {
  PIPPIN_CHECK(complete(a, common));
  const bool ignored = !a.quantize && !a.options.requantize &&
                       (a.options.q_bits || a.options.q_group_size || !a.options.quant_predicate.empty() ||
                        !a.options.quantize_modules.empty());
  if (ignored && !common.quiet) {
    fmt::print(stderr, "{} quantization settings without -q do nothing\n", yellow("warning:", Stream::error));
  }
  if (a.dry_run) {
    const auto plan = a.repo.repo.empty() ? plan_conversion(a.options) : plan_repo_conversion(a.options, a.repo);
    if (!plan) return told(plan.error(), a.repo);
    const ConvertReport& report = *plan;
    if (common.json)
      fmt::print("{}\n", json_text(report_json(report, false)));
    else
      fmt::print("{}", plan_text(report));
    if (!common.json && !common.quiet) print_warnings(report);
    return 0;
  }
  if (!a.upload.repo.empty()) PIPPIN_CHECK(check_upload(a.upload));
  ProgressLine progress(progress_style(a.progress, common.quiet || common.json), "converting");
  ConvertHooks hooks;
  hooks.cancelled = &stop_on_signals();
  hooks.progress = [&progress](uint64_t done, uint64_t total) { progress.show(done, total); };
  DownloadProgressLine downloading(progress_style(a.progress, common.quiet || common.json));
  const auto report = a.repo.repo.empty()
                          ? convert(a.options, hooks)
                          : convert_repo(a.options, a.repo, hooks, downloading.hooks(*hooks.cancelled).progress);
  progress.clear();
  downloading.clear();
  if (!report) return told(report.error(), a.repo);
  if (!common.json && !common.quiet) {
    print_warnings(*report);
    fmt::print("{}", done_text(*report));
    std::fflush(stdout);
  }
  nlohmann::ordered_json json = report_json(*report, true);
  if (!a.upload.repo.empty()) {
    PIPPIN_TRY(const UploadReport uploaded, upload_output(a, common, report->destination));
    json["upload"] = upload_json(uploaded);
  }
  if (common.json) fmt::print("{}\n", json_text(json));
  return 0;
}

}  // namespace

Run add_convert(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("convert", "Convert a checkpoint to an MLX model");
  auto arguments = std::make_shared<ConvertArguments>();
  command
      .add_option("source", arguments->source,
                  "Folder with config.json and safetensors, or org/name on the Hugging Face Hub")
      ->type_name("SOURCE");
  command.add_option("destination", arguments->destination, "Folder to write [mlx_model]")->type_name("DESTINATION");
  add_reference_flags(command, *arguments);
  add_upload_flags(command, *arguments);
  add_choice_flags(command, *arguments);
  add_run_flags(command, *arguments, common);
  return [arguments, common] { return run_convert(*arguments, *common); };
}

}  // namespace pippin::cli

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_status.h"
#include "cli/json_output.h"
#include "cli/progress_line.h"
#include "cli/runtime_runs.h"
#include "cli/signals.h"
#include "cli/verify_text.h"
#include "pippin/html_report.h"
#include "pippin/verify.h"

namespace pippin::cli {
namespace {

struct Arguments {
  VerifyOptions options;
  std::string source;
  std::string converted;
  std::vector<std::string> arch;
  bool all = false;
  bool demands_behaviour = false;
  bool without_behaviour = false;
  bool mlx_kernels = false;
  std::string prompts_file;
  std::string text_file;
  std::string reference;
  std::string html;
  BehaviourOptions behaviour;
};

Result<std::string> read_text(const std::string& path) {
  constexpr std::streamoff most = 16 << 20;  // more than --text-tokens ever takes
  std::ifstream file(path, std::ios::binary);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored))
    return fail(ErrorTag::not_found, "the file can be read", path);
  std::string text(static_cast<size_t>(most), '\0');
  file.read(text.data(), most);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// One prompt a line; \n stands for a line end.
Status add_prompts(const std::string& path, std::vector<std::string>& prompts) {
  PIPPIN_TRY(const std::string text, read_text(path));
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    for (size_t at = line.find("\\n"); at != std::string::npos; at = line.find("\\n", at + 1))
      line.replace(at, 2, "\n");
    if (!line.empty()) prompts.push_back(std::move(line));
    begin = end + 1;
  }
  if (prompts.empty()) return fail(ErrorTag::usage, "a file of prompts has one a line", path + " is empty");
  return {};
}

Status read_behaviour_inputs(Arguments& a) {
  BehaviourOptions& options = a.behaviour;
  options.source = a.source;
  options.converted = a.converted;
  options.arch = a.options.arch;
  options.arch_name = a.options.arch_name;
  options.own_kernels = !a.mlx_kernels;
  options.reference = a.reference;
  options.cancelled = a.options.cancelled;
  if (!a.prompts_file.empty()) PIPPIN_CHECK(add_prompts(a.prompts_file, options.prompts));
  if (a.text_file.empty()) return {};
  PIPPIN_TRY(options.text, read_text(a.text_file));
  return {};
}

// What was asked for by name is not passed over in silence.
bool is_demanded(const Arguments& a) {
  return a.demands_behaviour || !a.reference.empty() || !a.behaviour.prompts.empty() || !a.prompts_file.empty() ||
         !a.text_file.empty();
}

Result<BehaviourOutcome> compare_behaviour(Arguments& a, const Common& common, const VerifyReport& report,
                                           const RuntimeRuns& runs) {
  BehaviourOutcome outcome;
  if (a.without_behaviour) {
    outcome.skipped = "--no-behaviour";
    return outcome;
  }
  const bool demanded = is_demanded(a);
  if (runs.behaviour == nullptr) {
    if (demanded) return tl::unexpected<Error>(no_runtime("verify --behaviour"));
    outcome.skipped = "pippin-runtime, which runs models, is not beside pippin";
    return outcome;
  }
  if (report.target == "mlx-vlm" && !demanded) {
    outcome.skipped = "models for mlx-vlm do not run yet";
    return outcome;
  }
  ProgressLine progress(progress_style("auto", common.quiet || common.json), "running both models");
  a.behaviour.progress = [&progress](uint64_t done, uint64_t total) { progress.show(done, total); };
  auto measured = runs.behaviour(a.behaviour);
  progress.clear();
  if (measured) {
    outcome.report = std::move(*measured);
    return outcome;
  }
  const Error& error = measured.error();
  const bool cannot_run = error.tag == ErrorTag::unsupported || error.tag == ErrorTag::no_space;
  if (demanded || !cannot_run) return tl::unexpected<Error>(error);
  outcome.skipped = error.value;
  return outcome;
}

Status write_html(const Arguments& a, const VerifyReport& report, const BehaviourOutcome& behaviour) {
  std::ofstream file(a.html, std::ios::binary);
  file << html_report({a.source, a.converted, behaviour.skipped}, report,
                      behaviour.report ? &*behaviour.report : nullptr);
  file.close();
  if (file) return {};
  return fail(ErrorTag::destination, "the report can be written", a.html, "give a file in a folder that exists");
}

Result<int> run_verify(Arguments& a, const Common& common, const RuntimeRuns& runs) {
  a.options.source = a.source;
  a.options.converted = a.converted;
  sort_arch(a.arch, a.options.arch, a.options.arch_name);
  ProgressLine progress(progress_style("auto", common.quiet || common.json), "verifying");
  a.options.cancelled = &stop_on_signals();
  a.options.progress = [&progress](uint64_t done, uint64_t total) { progress.show(done, total); };
  PIPPIN_CHECK(read_behaviour_inputs(a));
  const auto report = verify(a.options);
  progress.clear();
  if (!report) return tl::unexpected<Error>(report.error());
  const bool shows = !common.json && !common.quiet;
  if (shows) {
    fmt::print("{}", tensors_text(*report, a.all));
    std::fflush(stdout);
  }
  PIPPIN_TRY(const BehaviourOutcome behaviour, compare_behaviour(a, common, *report, runs));
  if (!a.html.empty()) PIPPIN_CHECK(write_html(a, *report, behaviour));
  if (common.json) fmt::print("{}\n", json_text(verify_json(*report, behaviour)));
  if (shows) fmt::print("{}", behaviour_text(behaviour, a.all));
  return report->all_exact() && behaviour.passed() ? 0 : exit_status_of(ErrorTag::mismatch);
}

void add_behaviour_flags(CLI::App& command, Arguments& a) {
  const char* group = "Behaviour: both models run";
  BehaviourOptions& o = a.behaviour;
  auto* demanded =
      command.add_flag("--behaviour", a.demands_behaviour, "An error where the models cannot run")->group(group);
  command.add_flag("--no-behaviour", a.without_behaviour, "Compare tensors alone; nothing runs")
      ->group(group)
      ->excludes(demanded);
  command.add_option("-p,--prompt", o.prompts, "Prompt instead of the built-in ones; may be given several times")
      ->group(group)
      ->allow_extra_args(false);
  command.add_option("--prompts", a.prompts_file, "File with a prompt a line")->group(group)->type_name("FILE");
  command.add_option("--text", a.text_file, "Text for the perplexity [the prompts]")->group(group)->type_name("FILE");
  command.add_option("--text-tokens", o.text_tokens, "Of the text, at most so many tokens")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::Range(2, 100'000'000));
  command.add_option("--reference", a.reference, "Activations that record_activations wrote; compared as well")
      ->group(group)
      ->type_name("FILE");
  command.add_flag("--mlx-kernels", a.mlx_kernels, "On the CPU: compute with MLX's own kernels")->group(group);
}

void add_bounds(CLI::App& command, Thresholds& bounds) {
  const char* group = "Bounds of the verdict [by the model's precision; F32 / F16, BF16 / 8 / 6 / 4 / 3 bits]";
  const auto add = [&](const char* flag, std::optional<double>& bound, const char* what,
                       std::optional<double> Thresholds::*member) {
    std::string text = std::string(what) + " [";
    for (const auto precision : {Precision::float32, Precision::half, Precision::eight_bits, Precision::six_bits,
                                 Precision::four_bits, Precision::two_bits}) {
      const auto value = default_thresholds(precision).*member;
      text += (text.back() == '[' ? "" : " / ") + (value ? fmt::format("{:g}", *value) : std::string("-"));
    }
    command.add_option(flag, bound, text + "]")->group(group);
  };
  add("--max-logit-difference", bounds.max_logit_difference, "Largest absolute difference of a logit",
      &Thresholds::max_logit_difference);
  add("--min-top1", bounds.min_top1, "Share of positions with the same likeliest token", &Thresholds::min_top1);
  add("--max-kl", bounds.max_kl, "Mean KL divergence, nats", &Thresholds::max_kl);
  add("--max-perplexity-increase", bounds.max_perplexity_increase, "Relative: 0.01 is one percent",
      &Thresholds::max_perplexity_increase);
  add("--max-layer-error", bounds.max_layer_error, "Relative error of a layer's output", &Thresholds::max_layer_error);
}

}  // namespace

Run add_verify(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs) {
  CLI::App& command = *app.add_subcommand("verify", "Prove that a converted model is what its source says");
  auto arguments = std::make_shared<Arguments>();
  command.add_option("source", arguments->source, "Folder of the source checkpoint")->required()->type_name("SOURCE");
  command.add_option("converted", arguments->converted, "Folder of the MLX model")->required()->type_name("CONVERTED");
  command.add_option("--target", arguments->options.target, "mlx-lm, mlx-vlm or auto")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "mlx-lm", "mlx-vlm"}));
  command.add_option("--rounding", arguments->options.rounding, "metal or cpu [as the output's stamp says]")
      ->check(CLI::IsMember({"metal", "cpu"}));
  command.add_option("--arch", arguments->arch, "Spec name, spec file or folder of specs")->allow_extra_args(false);
  command.add_option("--threads", arguments->options.threads, "Worker threads [one a processor]")
      ->check(CLI::Range(0, 1024));
  command.add_flag("--all", arguments->all, "A row for every tensor");
  command.add_option("--html", arguments->html, "Write a report with plots, one file that needs no network")
      ->type_name("FILE");
  add_behaviour_flags(command, *arguments);
  add_bounds(command, arguments->behaviour.thresholds);
  add_common_flags(command, common);
  command.footer(
      "Exit status 0 where all tensors are right and all bounds are kept, 8 where not. Others: pippin --help");
  return [arguments, common, runs] { return run_verify(*arguments, *common, runs); };
}

}  // namespace pippin::cli

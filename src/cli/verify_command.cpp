#include <algorithm>
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/progress_line.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "pippin/verify.h"

namespace pippin::cli {
namespace {

struct Arguments {
  VerifyOptions options;
  std::string source;
  std::string converted;
  std::vector<std::string> arch;
  bool all = false;
};

struct Group {
  size_t tensors = 0;
  size_t exact = 0;
  uint64_t elements = 0;
  double largest_error = 0;
  double worst_relative = 0;
  double worst_cosine = 1;
};

void print_row(const std::string& name, const Group& group) {
  fmt::print("{:<34} {:>7} {:>14} {:>7} {:>12.3e} {:>12.3e} {:>9.6f}\n", name, group.tensors,
             count_text(group.elements), group.exact == group.tensors ? "all" : fmt::format("{}", group.exact),
             group.largest_error, group.worst_relative, group.worst_cosine);
}

Group group_of(const TensorFidelity& tensor) {
  return {1,
          tensor.exact ? size_t{1} : size_t{0},
          tensor.elements,
          tensor.largest_error,
          tensor.relative_error,
          tensor.cosine};
}

void print_table(const VerifyReport& report, bool all) {
  fmt::print("{:<34} {:>7} {:>14} {:>7} {:>12} {:>12} {:>9}\n", all ? "tensor" : "stored as", "tensors", "weights",
             "exact", "largest err", "rel. error", "cosine");
  std::map<std::string, Group> groups;
  for (const auto& tensor : report.tensors) {
    if (all) print_row(tensor.name, group_of(tensor));
    Group& group = groups[tensor.format];
    const Group one = group_of(tensor);
    group.tensors += 1;
    group.exact += one.exact;
    group.elements += one.elements;
    group.largest_error = std::max(group.largest_error, one.largest_error);
    group.worst_relative = std::max(group.worst_relative, one.worst_relative);
    group.worst_cosine = std::min(group.worst_cosine, one.worst_cosine);
  }
  if (!all) {
    for (const auto& [format, group] : groups) print_row(format, group);
  }
}

void print_verdict(const VerifyReport& report) {
  if (report.all_exact()) {
    fmt::print("{} all {} tensors are, bit for bit, what the conversion of the source gives ({:.2f} s)\n",
               green("verified:", Stream::out), report.tensors.size(), report.seconds);
    return;
  }
  fmt::print("{} {} of {} tensors differ from what the conversion of the source gives:\n",
             red("different:", Stream::out), report.tensors.size() - report.exact, report.tensors.size());
  size_t listed = 0;
  for (const auto& tensor : report.tensors) {
    if (!tensor.exact && ++listed <= 20)
      fmt::print("  {} ({}), relative error {:.3e}\n", tensor.name, tensor.format, tensor.relative_error);
  }
}

void print_json(const VerifyReport& report) {
  nlohmann::ordered_json json = {{"target", report.target},          {"model_type", report.model_type},
                                 {"tensors", report.tensors.size()}, {"exact", report.exact},
                                 {"weights", report.elements},       {"seconds", report.seconds},
                                 {"verified", report.all_exact()}};
  json["per_tensor"] = nlohmann::ordered_json::array();
  for (const auto& tensor : report.tensors) {
    json["per_tensor"].push_back({{"name", tensor.name},
                                  {"format", tensor.format},
                                  {"elements", tensor.elements},
                                  {"exact", tensor.exact},
                                  {"largest_error", tensor.largest_error},
                                  {"mean_error", tensor.mean_error},
                                  {"relative_error", tensor.relative_error},
                                  {"cosine", tensor.cosine},
                                  {"nonfinite", tensor.nonfinite}});
  }
  fmt::print("{}\n", json.dump(2));
}

Result<int> run_verify(Arguments& a, const Common& common) {
  a.options.source = a.source;
  a.options.converted = a.converted;
  sort_arch(a.arch, a.options.arch, a.options.arch_name);
  ProgressLine progress(progress_style("auto", common.quiet || common.json), "verifying");
  a.options.cancelled = &stop_on_signals();
  a.options.progress = [&progress](uint64_t done, uint64_t total) { progress.show(done, total); };
  const auto report = verify(a.options);
  progress.clear();
  if (!report) return tl::unexpected<Error>(report.error());
  if (common.json) {
    print_json(*report);
  } else if (!common.quiet) {
    print_table(*report, a.all);
    print_verdict(*report);
  }
  return report->all_exact() ? 0 : 8;
}

}  // namespace

Run add_verify(CLI::App& app, const std::shared_ptr<Common>& common) {
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
  add_common_flags(command, common);
  return [arguments, common] { return run_verify(*arguments, *common); };
}

}  // namespace pippin::cli

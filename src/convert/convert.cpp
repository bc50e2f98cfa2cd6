#include "pippin/convert.h"

#include <chrono>

#include <fmt/format.h>

#include "convert/report_of.h"
#include "convert/request_of.h"
#include "convert/spec_choice.h"
#include "execute/execute.h"
#include "package/output_folder.h"
#include "package/package.h"
#include "package/side_files.h"
#include "plan/planner.h"
#include "source/checkpoint.h"
#include "verify/tied_heads.h"
#include "verify/written.h"

namespace pippin {
namespace {

// A checkpoint with the plan for it.
struct Prepared {
  Checkpoint checkpoint;
  Plan plan;
  ConvertReport report;
};

Result<Prepared> prepare(const ConvertOptions& options) {
  PIPPIN_TRY(SpecLibrary library, library_of(options.arch));
  PIPPIN_TRY(const nlohmann::ordered_json config, Checkpoint::read_config(options.source));
  PIPPIN_TRY(const SpecChoice choice,
             choose_spec_of(options.source, library, config, options.target, options.arch_name));
  PIPPIN_TRY(const PlanRequest request, request_of(options, choice.target));
  const auto selection = choice.target == Target::mlx_lm ? FileSelection::mlx_lm : FileSelection::mlx_vlm;
  PIPPIN_TRY(Checkpoint checkpoint, Checkpoint::open(options.source, selection));
  PIPPIN_TRY(const SpecPtr spec, library.spec(choice.spec));
  PIPPIN_TRY(Plan plan, make_plan(checkpoint, library, spec, request));
  if (!options.arch_name.empty()) take_model_type(*spec, plan);
  ConvertReport report = report_of(plan, checkpoint);
  report.target_reason = choice.reason;
  report.destination = options.destination;
  return Prepared{std::move(checkpoint), std::move(plan), std::move(report)};
}

void add_warnings(ConvertReport& report, const std::vector<std::string>& warnings) {
  report.warnings.insert(report.warnings.end(), warnings.begin(), warnings.end());
}

Status write_weights(const Prepared& prepared, const ConvertOptions& options, const ConvertHooks& hooks,
                     const std::filesystem::path& folder, ConvertReport& report) {
  ExecuteOptions execution;
  execution.threads = options.threads;
  execution.resume = options.resume;
  execution.cancelled = hooks.cancelled;
  const uint64_t total = prepared.plan.source_bytes + prepared.plan.output_bytes;
  if (hooks.progress) {
    execution.progress = [&hooks, total](uint64_t read, uint64_t written) {
      hooks.progress(std::min(read + written, total), total);
    };
  }
  const auto begin = std::chrono::steady_clock::now();
  PIPPIN_TRY(const ExecuteReport done, execute(prepared.plan, prepared.checkpoint, folder, execution));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.nonfinite_values = done.nonfinite_values;
  report.jobs_resumed = done.jobs_resumed;
  add_warnings(report, done.warnings);
  return {};
}

}  // namespace

Result<ConvertReport> plan_conversion(const ConvertOptions& options) {
  PIPPIN_TRY(Prepared prepared, prepare(options));
  return std::move(prepared.report);
}

Result<ConvertReport> convert(const ConvertOptions& options, const ConvertHooks& hooks) {
  PIPPIN_TRY(Prepared prepared, prepare(options));
  ConvertReport report = std::move(prepared.report);
  if (hooks.planned) hooks.planned(report);

  PIPPIN_TRY(const SideFiles side_files, find_side_files(options.source, prepared.plan.target));
  OutputFolderOptions folder_options;
  folder_options.overwrite = options.overwrite;
  folder_options.resume = options.resume;
  folder_options.flush = options.flush;
  folder_options.side_files = side_files.files;
  PIPPIN_TRY(OutputFolder folder, OutputFolder::prepare(options.destination, options.source, folder_options));
  add_warnings(report, folder.warnings());
  uint64_t bytes = 0;
  for (const auto& shard : prepared.plan.shards) bytes += shard.size;
  PIPPIN_CHECK(folder.check_space(bytes));
  PIPPIN_TRY(const auto untied, differing_ties(prepared.plan, prepared.checkpoint, hooks.cancelled));
  add_warnings(report, untied);
  PIPPIN_CHECK(write_weights(prepared, options, hooks, folder.path(), report));

  const CardOptions card{options.output_name.empty() ? folder.destination().filename().string() : options.output_name,
                         options.source_name, options.command};
  PIPPIN_TRY(const PackageReport packaged,
             write_package(prepared.plan, prepared.checkpoint, side_files, folder.path(), card));
  add_warnings(report, packaged.warnings);
  PIPPIN_CHECK(check_written(prepared.plan, folder.path()));
  PIPPIN_TRY(const std::vector<std::string> commit_warnings, folder.commit());
  add_warnings(report, commit_warnings);
  return report;
}

}  // namespace pippin

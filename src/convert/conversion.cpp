#include "convert/conversion.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "convert/report_of.h"
#include "convert/request_of.h"
#include "convert/spec_choice.h"
#include "execute/execute.h"
#include "execute/recipe_leaves.h"
#include "package/output_folder.h"
#include "package/package.h"
#include "package/side_files.h"
#include "plan/planner.h"
#include "verify/tied_heads.h"
#include "verify/written.h"

namespace pippin {
namespace {

constexpr int most_tries = 3;  // with bytes that turn out to be wrong

void add_warnings(ConvertReport& report, const std::vector<std::string>& warnings) {
  report.warnings.insert(report.warnings.end(), warnings.begin(), warnings.end());
}

// One conversion on its way.
class Conversion {
 public:
  Conversion(Prepared prepared, const ConvertOptions& options, const ConvertHooks& hooks, ByteSupply* supply)
      : checkpoint_(std::move(prepared.checkpoint)),
        plan_(std::move(prepared.plan)),
        report_(std::move(prepared.report)),
        options_(options),
        hooks_(hooks),
        supply_(supply) {}

  Result<ConvertReport> run() {
    if (hooks_.planned) hooks_.planned(report_);
    PIPPIN_TRY(const SideFiles side_files, find_side_files(checkpoint_.folder(), plan_.target));
    PIPPIN_TRY(OutputFolder folder, prepare_folder(side_files));
    if (supply_ != nullptr)
      PIPPIN_CHECK(write_from_supply(folder));
    else
      PIPPIN_CHECK(write_from_disk(folder));

    const CardOptions card{
        options_.output_name.empty() ? folder.destination().filename().string() : options_.output_name,
        options_.source_name, options_.command};
    PIPPIN_TRY(const PackageReport packaged, write_package(plan_, checkpoint_, side_files, folder.path(), card));
    add_warnings(report_, packaged.warnings);
    PIPPIN_CHECK(check_written(plan_, folder.path()));
    if (supply_ != nullptr) PIPPIN_CHECK(supply_->end());
    PIPPIN_TRY(const std::vector<std::string> commit_warnings, folder.commit());
    add_warnings(report_, commit_warnings);
    return std::move(report_);
  }

 private:
  Result<OutputFolder> prepare_folder(const SideFiles& side_files) {
    OutputFolderOptions folder_options;
    folder_options.overwrite = options_.overwrite;
    folder_options.resume = options_.resume || supply_ != nullptr;
    folder_options.flush = options_.flush;
    folder_options.side_files = side_files.files;
    PIPPIN_TRY(OutputFolder folder, OutputFolder::prepare(options_.destination, checkpoint_.folder(), folder_options));
    add_warnings(report_, folder.warnings());
    resumes_ = options_.resume;
    if (supply_ != nullptr) {
      resumes_ = can_resume(plan_, checkpoint_, folder.path());
      if (!resumes_) PIPPIN_CHECK(folder.empty());
    }
    uint64_t bytes = 0;
    for (const auto& shard : plan_.shards) bytes += shard.size;
    PIPPIN_CHECK(folder.check_space(bytes));
    return folder;
  }

  Status write_from_disk(const OutputFolder& folder) {
    PIPPIN_TRY(const auto untied, differing_ties(plan_, checkpoint_, hooks_.cancelled));
    add_warnings(report_, untied);
    return write_weights(folder.path());
  }

  Status write_weights(const std::filesystem::path& folder) {
    ExecuteOptions execution;
    execution.threads = options_.threads;
    execution.resume = resumes_;
    execution.cancelled = hooks_.cancelled;
    if (supply_ != nullptr) {
      execution.in_source_order = true;
      execution.trusted = [this](size_t job) { return is_trusted(plan_.jobs[job]); };
    }
    const uint64_t total = plan_.source_bytes + plan_.output_bytes;
    if (hooks_.progress) {
      execution.progress = [this, total](uint64_t read, uint64_t written) {
        hooks_.progress(std::min(read + written, total), total);
      };
    }
    const auto begin = std::chrono::steady_clock::now();
    PIPPIN_TRY(const ExecuteReport done, execute(plan_, checkpoint_, folder, execution));
    report_.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    report_.nonfinite_values = done.nonfinite_values;
    report_.jobs_resumed = done.jobs_resumed;
    add_warnings(report_, done.warnings);
    return {};
  }

  // Whether all that a finished job has read is the same as what comes now.
  [[nodiscard]] bool is_trusted(const Job& job) const {
    bool trusted = true;
    for_each_tensor(*job.value, [&](const Recipe&, uint32_t tensor) {
      const TensorInfo& info = checkpoint_.tensors()[tensor];
      trusted = trusted && info.offset + info.size <= supply_->trusted_bytes(info.file);
    });
    return trusted;
  }

  Status write_from_supply(OutputFolder& folder) {
    PIPPIN_TRY(auto sources, supply_->begin(folder.path(), resumes_));
    checkpoint_.take_sources(std::move(sources));
    for (const auto& [head, embedding] : plan_.assumed_ties) {
      for (const uint32_t tensor : {head, embedding}) supply_->will_compare(range_of(tensor));
    }
    for (int tries = 1;; ++tries) {
      auto written = write_weights(folder.path());
      // Wrong bytes may look like infinities; whether they were wrong has to be known first.
      if (!written && written.error().tag != ErrorTag::nonfinite) return written;
      PIPPIN_TRY(const std::vector<size_t> wrong, supply_->confirm(written.has_value()));
      if (wrong.empty()) return written ? compare_ties() : written;
      for (const size_t file : wrong) {
        report_.warnings.push_back(
            fmt::format("{} came with other bytes than the Hub promises: what was made of them was made again",
                        checkpoint_.files()[file]->name()));
      }
      if (tries == most_tries) return give_up(folder, wrong);
      resumes_ = true;
    }
  }

  Status give_up(OutputFolder& folder, const std::vector<size_t>& wrong) {
    PIPPIN_CHECK(folder.discard());
    return fail(ErrorTag::bad_file, "a file has the content that the Hub promises",
                fmt::format("{}: other bytes came, {} times", checkpoint_.files()[wrong[0]]->name(), most_tries),
                "run it again later, or over another connection; what was made of them is removed");
  }

  [[nodiscard]] ByteSupply::Range range_of(uint32_t tensor) const {
    const TensorInfo& info = checkpoint_.tensors()[tensor];
    return {info.file, info.offset, info.size};
  }

  Status compare_ties() {
    for (const auto& [head, embedding] : plan_.assumed_ties) {
      const TensorInfo& left_out = checkpoint_.tensors()[head];
      const TensorInfo& kept = checkpoint_.tensors()[embedding];
      PIPPIN_TRY(const auto same, supply_->are_same(range_of(head), range_of(embedding)));
      if (!same) {
        report_.warnings.push_back(fmt::format(
            "{} is left out, since by config.json the output head is tied to {}; whether their values are the same was "
            "not looked at, as they came in different runs",
            left_out.name, kept.name));
      } else if (!*same) {
        report_.warnings.push_back(warning_of_tie(left_out, kept));
      }
    }
    return {};
  }

  Checkpoint checkpoint_;
  Plan plan_;
  ConvertReport report_;
  const ConvertOptions& options_;
  const ConvertHooks& hooks_;
  ByteSupply* supply_;
  bool resumes_ = false;
};

}  // namespace

Result<Prepared> prepare(const ConvertOptions& options, const OpenSource& open_source) {
  PIPPIN_TRY(SpecLibrary library, library_of(options.arch));
  PIPPIN_TRY(const nlohmann::ordered_json config, Checkpoint::read_config(options.source));
  PIPPIN_TRY(const SpecChoice choice,
             choose_spec_of(options.source, library, config, options.target, options.arch_name));
  PIPPIN_TRY(const PlanRequest request, request_of(options, choice.target));
  const auto selection = choice.target == Target::mlx_lm ? FileSelection::mlx_lm : FileSelection::mlx_vlm;
  PIPPIN_TRY(Checkpoint checkpoint, Checkpoint::open(options.source, selection, open_source));
  PIPPIN_TRY(const SpecPtr spec, library.spec(choice.spec));
  PIPPIN_TRY(Plan plan, make_plan(checkpoint, library, spec, request));
  if (!options.arch_name.empty()) take_model_type(*spec, plan);
  ConvertReport report = report_of(plan, checkpoint);
  report.target_reason = choice.reason;
  report.destination = options.destination;
  return Prepared{std::move(checkpoint), std::move(plan), std::move(report)};
}

Result<ConvertReport> run_conversion(Prepared prepared, const ConvertOptions& options, const ConvertHooks& hooks,
                                     ByteSupply* supply) {
  Conversion conversion(std::move(prepared), options, hooks, supply);
  return conversion.run();
}

}  // namespace pippin

#include "pippin/verify.h"

#include <algorithm>
#include <chrono>

#include "convert/request_of.h"
#include "convert/spec_choice.h"
#include "plan/loaded_model.h"
#include "source/checkpoint.h"
#include "source/stamp.h"
#include "verify/fidelity.h"
#include "verify/tensor_account.h"

namespace pippin {

Result<VerifyReport> verify(const VerifyOptions& options) {
  PIPPIN_TRY(SpecLibrary library, library_of(options.arch));
  PIPPIN_TRY(const nlohmann::ordered_json config, Checkpoint::read_config(options.source));
  PIPPIN_TRY(const Checkpoint converted, Checkpoint::open(options.converted, FileSelection::mlx_lm));
  const auto stamp = stamp_of(converted);
  const std::string target = options.target == "auto" && stamp ? stamp->target : options.target;
  PIPPIN_TRY(const SpecChoice choice, choose_spec_of(options.source, library, config, target, options.arch_name));
  PIPPIN_TRY(const Checkpoint source,
             Checkpoint::open(options.source,
                              choice.target == Target::mlx_lm ? FileSelection::mlx_lm : FileSelection::mlx_vlm));
  PIPPIN_TRY(const SpecPtr spec, library.spec(choice.spec));

  PlanRequest request;
  request.target = choice.target;
  PIPPIN_TRY(const LoadedModel source_model, load_model(source, library, spec, request));
  PIPPIN_TRY(const LoadedModel converted_model, load_model(converted, library, spec, request));

  FidelityOptions fidelity;
  const std::string rounding = !options.rounding.empty() ? options.rounding : (stamp ? stamp->rounding : "metal");
  fidelity.rounding = rounding == "cpu" ? Rounding::cpu : Rounding::metal;
  fidelity.threads = options.threads;
  fidelity.cancelled = options.cancelled;
  fidelity.progress = options.progress;
  const auto begin = std::chrono::steady_clock::now();
  VerifyReport report;
  PIPPIN_TRY(report.tensors, measure_fidelity({source, source_model}, {converted, converted_model}, fidelity));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.target = name_of(choice.target);
  report.model_type = spec->model_types.front();
  for (const auto& tensor : report.tensors) {
    report.exact += tensor.exact ? 1 : 0;
    report.elements += tensor.elements;
  }
  report.structure = {source.tensors().size(), converted.tensors().size(), left_out_tensors(source, source_model)};
  report.warnings = source_model.warnings;
  return report;
}

}  // namespace pippin

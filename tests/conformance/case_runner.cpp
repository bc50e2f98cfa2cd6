#include "conformance/case_runner.h"

#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "conformance/comparison.h"
#include "ghost/ghost.h"
#include "ghost/temporary_folder.h"
#include "pippin/convert.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

ConvertOptions options_of(const Json& arguments, const std::string& tool, const fs::path& source,
                          const fs::path& destination, const CaseOptions& case_options) {
  ConvertOptions options;
  options.source = source;
  options.destination = destination;
  options.target = tool == "mlx_lm" ? "mlx-lm" : "mlx-vlm";
  options.rounding = "cpu";
  options.threads = 1;
  options.flush = false;
  options.allow_nonfinite = true;
  options.memory = uint64_t{8} << 20;
  if (!case_options.arch.empty()) options.arch.push_back(case_options.arch);
  for (const auto& [key, value] : arguments.items()) {
    if (value.is_null()) continue;
    if (key == "quantize")
      options.quantize = value.get<bool>();
    else if (key == "dequantize")
      options.dequantize = value.get<bool>();
    else if (key == "q_bits")
      options.q_bits = value.get<int>();
    else if (key == "q_group_size")
      options.q_group_size = value.get<int>();
    else if (key == "q_mode")
      options.q_mode = value.get<std::string>();
    else if (key == "quant_predicate")
      options.quant_predicate = value.get<std::string>();
    else if (key == "dtype")
      options.dtype = value.get<std::string>();
    else
      throw std::runtime_error("unknown argument " + key);
  }
  return options;
}

}  // namespace

std::vector<CaseOutcome> run_case(const fs::path& path, const CaseOptions& case_options) {
  const Json one = read_case(path);
  const TemporaryFolder work;
  const fs::path source = work.path() / "source";
  write_ghost(one, source);
  std::vector<CaseOutcome> outcomes;
  for (const auto& [name, run] : one["runs"].items()) {
    CaseOutcome outcome{name, {}, ""};
    const fs::path destination = work.path() / "out";
    const auto report = convert(options_of(run["args"], one["tool"], source, destination, case_options));
    if (!report && run.contains("error")) {
      outcome.remark = "refused, as the reference does: " + report.error().value.substr(0, 100);
    } else if (!report) {
      Error error = report.error();
      if (!case_options.verbose && error.details.size() > 6) error.details.resize(6);
      outcome.differences.push_back(error.message());
    } else if (run.contains("error")) {
      outcome.remark = "converted, where the reference fails: " + run["error"].get<std::string>().substr(0, 100);
    } else {
      outcome.differences = compare_with_record(destination, run["expect"], run["args"], one);
    }
    if (!case_options.verbose && outcome.differences.size() > 10) {
      outcome.differences[9] = fmt::format("... and {} more", outcome.differences.size() - 9);
      outcome.differences.resize(10);
    }
    outcomes.push_back(std::move(outcome));
    fs::remove_all(destination);
  }
  return outcomes;
}

}  // namespace pippin

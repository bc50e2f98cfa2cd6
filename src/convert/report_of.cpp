#include "convert/report_of.h"

#include "recipe/recipe.h"

namespace pippin {
namespace {

// Beyond the blocks: the program, its thread stacks, and what the plan and the headers take.
constexpr uint64_t base_memory = uint64_t{24} << 20;
constexpr uint64_t memory_a_tensor = 2048;

}  // namespace

ConvertReport report_of(const Plan& plan, const Checkpoint& checkpoint) {
  ConvertReport report;
  report.target = plan.target;
  report.model_type = plan.model_type;
  report.spec = plan.spec;
  report.dropped = plan.dropped;
  report.source_bytes = plan.source_bytes;
  report.output_bytes = plan.output_bytes;
  report.parameters = plan.total_parameters;
  if (plan.total_parameters > 0) {
    report.bits_per_weight = static_cast<double>(plan.output_bytes) * 8 / static_cast<double>(plan.total_parameters);
  }
  report.warnings = checkpoint.warnings();
  report.warnings.insert(report.warnings.end(), plan.warnings.begin(), plan.warnings.end());
  for (const auto& shard : plan.shards) report.files.push_back(shard.file);
  std::vector<std::string> names;
  for (const auto& tensor : checkpoint.tensors()) names.push_back(tensor.name);
  report.tensors.resize(plan.outputs.size());
  for (const auto& job : plan.jobs) {
    const std::string source = describe(*job.value, names);
    for (const uint32_t index : job.outputs) {
      const OutputTensor& output = plan.outputs[index];
      report.tensors[index] = {output.name, std::string(name_of(output.dtype)), output.shape,
                               output.size, plan.shards[output.shard].file,     job.rule,
                               source};
    }
  }
  report.memory = plan.memory_budget + base_memory + memory_a_tensor * (plan.outputs.size() + names.size());
  return report;
}

}  // namespace pippin

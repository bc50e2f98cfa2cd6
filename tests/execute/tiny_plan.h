// Plans from a few jobs.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "execute/plan_check.h"
#include "naive_value.h"
#include "plan/plan.h"

namespace pippin {

struct TinyJob {
  std::string name;
  RecipePtr value;
  std::optional<QuantFormat> quantize = {};
};

// Outputs one after the other, in as many shards as given, cut after every `per_shard` jobs. Headers are placeholders.
inline Plan tiny_plan(const std::vector<TinyJob>& jobs, size_t per_shard = 1000) {
  Plan plan;
  for (size_t j = 0; j < jobs.size(); j++) {
    if (j % per_shard == 0) plan.shards.push_back({"shard" + std::to_string(j / per_shard), "header: ", 8});
    Job job{jobs[j].value, jobs[j].quantize, {0, 0, 0}, jobs[j].name};
    if (!job.quantize)
      job.outputs = {0};
    else if (!row_of(job.quantize->mode).has_biases)
      job.outputs = {0, 0};
    const auto parts = parts_of(job);
    for (size_t p = 0; p < parts.size(); p++) {
      Shard& shard = plan.shards.back();
      const auto size = static_cast<uint64_t>(element_count(job.value->shape) / parts[p].elements * parts[p].bytes);
      job.outputs[p] = static_cast<uint32_t>(plan.outputs.size());
      const char* suffix[] = {"", ".scales", ".biases"};
      plan.outputs.push_back({jobs[j].name + suffix[p],
                              parts[p].dtype,
                              {},
                              static_cast<uint32_t>(plan.shards.size() - 1),
                              shard.size,
                              size});
      shard.size += size;
    }
    plan.jobs.push_back(std::move(job));
  }
  return plan;
}

// What the shards must hold, one string each.
inline std::vector<std::string> expected_shards(const Plan& plan, const std::vector<TinyTensor>& tensors) {
  std::vector<std::string> shards;
  for (const Shard& shard : plan.shards) shards.push_back(shard.header);
  for (const Job& job : plan.jobs) {
    constexpr QuantizePart::Part parts[] = {QuantizePart::Part::weight, QuantizePart::Part::scales,
                                            QuantizePart::Part::biases};
    for (size_t p = 0; p < job.outputs.size(); p++) {
      const RecipePtr value = job.quantize ? *quantize_part(*job.quantize, job.value, parts[p]) : job.value;
      const Bytes bytes = naive_value(*value, tensors, plan.rounding);
      shards[plan.outputs[job.outputs[p]].shard].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  return shards;
}

// What they do hold.
inline std::vector<std::string> written_shards(const Plan& plan, const std::filesystem::path& folder) {
  std::vector<std::string> shards;
  for (const Shard& shard : plan.shards) {
    std::ifstream file(folder / shard.file, std::ios::binary);
    shards.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return shards;
}

}  // namespace pippin

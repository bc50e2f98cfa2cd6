#include "execute/plan_check.h"

#include <unordered_set>

#include <fmt/format.h>

#include "execute/box.h"

namespace pippin {
namespace {

tl::unexpected<Error> misfit(std::string rule, std::string value) {
  return fail(ErrorTag::mismatch, std::move(rule), std::move(value), "this is a mistake in pippin: please report it");
}

std::string text_of(DType dtype, const Shape& shape) {
  return fmt::format("{}{}", name_of(dtype), to_string(shape));
}

class RecipeCheck {
 public:
  explicit RecipeCheck(const Checkpoint& source) : source_(source) {}

  Status check(const Recipe& recipe) {
    if (!checked_.insert(&recipe).second) return {};
    if (recipe.shape.size() > static_cast<size_t>(max_rank))
      return fail(ErrorTag::unsupported, fmt::format("tensors have at most {} axes", max_rank),
                  text_of(recipe.dtype, recipe.shape));
    if (const auto* leaf = std::get_if<FromSource>(&recipe.op)) PIPPIN_CHECK(check_leaf(recipe, leaf->tensor));
    for (const auto& input : recipe.inputs) PIPPIN_CHECK(check(*input));
    return {};
  }

 private:
  Status check_leaf(const Recipe& recipe, uint32_t tensor) {
    const auto& tensors = source_.tensors();
    if (tensor >= tensors.size())
      return misfit("a recipe's tensor is in the checkpoint", fmt::format("{} of {}", tensor, tensors.size()));
    const TensorInfo& info = tensors[tensor];
    if (recipe.shape != info.shape || size_of(recipe.dtype) != size_of(info.dtype))
      return misfit("a recipe has its source's shape",
                    fmt::format("{}: {} in the recipe, {} in the file", info.name, text_of(recipe.dtype, recipe.shape),
                                text_of(info.dtype, info.shape)));
    return {};
  }

  const Checkpoint& source_;
  std::unordered_set<const Recipe*> checked_;
};

Status check_format(const Job& job) {
  if (!job.quantize) return {};
  PIPPIN_CHECK(check(*job.quantize));
  const Recipe& value = *job.value;
  const bool dtype = value.dtype == DType::F32 || value.dtype == DType::F16 || value.dtype == DType::BF16;
  if (!dtype || value.shape.empty() || value.shape.back() % job.quantize->group_size != 0)
    return misfit("quantized are F32, F16 or BF16 rows of whole groups",
                  fmt::format("{} in groups of {}", text_of(value.dtype, value.shape), job.quantize->group_size));
  return {};
}

Status check_outputs(const Plan& plan, const Job& job) {
  const size_t wanted = !job.quantize ? 1 : row_of(job.quantize->mode).has_biases ? 3 : 2;
  if (job.outputs.size() != wanted)
    return misfit("a job has an output for each of its parts",
                  fmt::format("{}: {} outputs for {} parts", job.rule, job.outputs.size(), wanted));
  const int64_t elements = element_count(job.value->shape);
  size_t number = 0;
  for (const PartLayout& part : parts_of(job)) {
    const uint32_t index = job.outputs[number++];
    if (index >= plan.outputs.size()) return misfit("a job's outputs are in the plan", fmt::format("output {}", index));
    const OutputTensor& output = plan.outputs[index];
    const auto bytes = static_cast<uint64_t>(elements / part.elements * part.bytes);
    if (output.size != bytes || output.dtype != part.dtype)
      return misfit("an output has its job's dtype and size",
                    fmt::format("{}: {} bytes of {}, the job makes {} of {}", output.name, output.size,
                                name_of(output.dtype), bytes, name_of(part.dtype)));
  }
  return {};
}

Status check_places(const Plan& plan) {
  for (const OutputTensor& output : plan.outputs) {
    const bool known = output.shard < plan.shards.size();
    const uint64_t begin = known ? plan.shards[output.shard].header.size() : 0;
    const uint64_t end = known ? plan.shards[output.shard].size : 0;
    if (output.offset < begin || output.offset > end || output.size > end - output.offset)
      return misfit("an output lies inside its shard, behind the header",
                    fmt::format("{}: {} bytes from {} in shard {}, which has {} to {}", output.name, output.size,
                                output.offset, output.shard, begin, end));
  }
  return {};
}

}  // namespace

Status check_plan(const Plan& plan, const Checkpoint& source) {
  RecipeCheck recipes(source);
  for (const Job& job : plan.jobs) {
    PIPPIN_CHECK(recipes.check(*job.value));
    PIPPIN_CHECK(check_format(job));
    PIPPIN_CHECK(check_outputs(plan, job));
  }
  return check_places(plan);
}

std::vector<PartLayout> parts_of(const Job& job) {
  const auto size = static_cast<int64_t>(size_of(job.value->dtype));
  if (!job.quantize) return {{job.outputs[0], job.value->dtype, 1, size}};
  const QuantFormat& format = *job.quantize;
  const int64_t group = format.group_size;
  const bool affine = row_of(format.mode).has_biases;
  const DType scale_dtype = affine ? job.value->dtype : DType::U8;
  const int64_t scale_bytes = affine ? size : 1;
  std::vector<PartLayout> parts{{job.outputs[0], DType::U32, group, group * format.bits / 8},
                                {job.outputs[1], scale_dtype, group, scale_bytes}};
  if (affine) parts.push_back({job.outputs[2], scale_dtype, group, scale_bytes});
  return parts;
}

}  // namespace pippin

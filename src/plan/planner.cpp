#include "plan/planner.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "plan/loaded_model.h"
#include "plan/packed_layers.h"
#include "plan/packed_sources.h"
#include "plan/precision.h"
#include "plan/shard_layout.h"
#include "plan/strict_check.h"
#include "source/stamp.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

class Planner {
 public:
  Planner(const Checkpoint& checkpoint, const PlanRequest& request, LoadedModel model, Precision precision)
      : checkpoint_(checkpoint), request_(request), model_(std::move(model)), precision_(std::move(precision)) {}

  Result<Plan> plan() {
    describe_run();
    for (const auto& [index, parameter] : model_.tree.order) {
      PIPPIN_CHECK(place(index, parameter));
    }
    join_parts();
    count_parameters();
    plan_.config = output_config();
    const Stamp stamp{request_.version, plan_.target, request_.rounding == Rounding::metal ? "metal" : "cpu", "mlx"};
    lay_out_shards(plan_, request_.shard_limit, metadata_of(stamp));
    for (const auto& output : plan_.outputs) plan_.output_bytes += output.size;
    plan_.index_metadata = {{"total_size", plan_.output_bytes}};
    if (request_.target == Target::mlx_lm) plan_.index_metadata["total_parameters"] = plan_.total_parameters;
    list_dropped();
    list_assumed_ties();
    return std::move(plan_);
  }

 private:
  void describe_run() {
    plan_.rounding = request_.rounding;
    plan_.memory_budget = request_.memory_budget;
    plan_.allow_nonfinite = request_.allow_nonfinite;
    plan_.packed_undeclared = precision_.packed_undeclared;
    plan_.model_type = model_.scope->spec().model_types.front();
    plan_.spec = model_.scope->spec().name;
    plan_.target = name_of(request_.target);
    plan_.warnings = std::move(model_.warnings);
    plan_.warnings.insert(plan_.warnings.end(), precision_.warnings.begin(), precision_.warnings.end());
  }

  [[nodiscard]] bool casts(const std::string& name) const {
    const auto& kept = model_.scope->spec().keep_dtype;
    return std::none_of(kept.begin(), kept.end(),
                        [&](const NamePattern& pattern) { return pattern.match(name).has_value(); });
  }

  [[nodiscard]] RecipePtr in_dtype(const std::string& name, RecipePtr value) const {
    if (!precision_.dtype || !is_floating(value->dtype) || !casts(name)) return value;
    return cast(std::move(value), *precision_.dtype);
  }

  RecipePtr stored(const std::string& name) { return in_dtype(name, model_.tensors.at(name)); }

  uint32_t add_output(std::string name, DType dtype, Shape shape) {
    const auto size = static_cast<uint64_t>(element_count(shape)) * size_of(dtype);
    plan_.outputs.push_back({std::move(name), dtype, std::move(shape), 0, 0, size});
    return static_cast<uint32_t>(plan_.outputs.size() - 1);
  }

  void add_value(const std::string& name, RecipePtr value, std::string rule) {
    const uint32_t output = add_output(name, value->dtype, value->shape);
    plan_.jobs.push_back({std::move(value), std::nullopt, {output}, std::move(rule)});
  }

  Status place(size_t index, size_t parameter) {
    const MlxModule& module = model_.tree.modules[index];
    const ModulePrecision& precision = precision_.modules[index];
    const std::string& name = module.parameters[parameter].name;
    const bool weight = name == "weight";
    if (precision.treatment != Treatment::keep && is_global_scale(name)) return {};  // multiplied in
    if (!weight || precision.treatment == Treatment::keep) {
      for (const auto& one : stored_parameters(module, parameter, model_.packed[index])) {
        add_value(one.name, stored(one.name), model_.packed[index] && weight ? "packed as it is" : "");
      }
      return {};
    }
    PIPPIN_TRY(RecipePtr dense, dense_weight(index));
    if (precision.treatment == Treatment::dequantize) {
      add_value(module.name_of("weight"), std::move(dense), "dequantize");
      return {};
    }
    return place_quantized(module, precision.format, std::move(dense));
  }

  // The module's weight as a dense array: its own, or unpacked.
  Result<RecipePtr> dense_weight(size_t index) {
    const MlxModule& module = model_.tree.modules[index];
    const auto& packed = model_.packed[index];
    if (!packed) return stored(module.name_of("weight"));
    const RecipePtr scales = stored(module.name_of("scales"));
    const bool affine = row_of(packed->mode).has_biases;
    const RecipePtr biases = affine ? stored(module.name_of("biases")) : nullptr;
    PIPPIN_TRY(RecipePtr dense, dequantize(*packed, stored(module.name_of("weight")), scales, biases,
                                           affine ? scales->dtype : DType::BF16));
    return globally_scaled(module, std::move(dense));
  }

  // nvfp4 layers of other makers have one more scale for the whole tensor, or for each expert. mlx-lm's -d forgets its
  // own, and the bytes are the reference's.
  Result<RecipePtr> globally_scaled(const MlxModule& module, RecipePtr dense) {
    using Op = Arithmetic::Op;
    if (const auto scale = model_.tensors.find(module.name_of("global_scale"));
        scale != model_.tensors.end() && request_.target == Target::mlx_lm && !request_.dequantize) {
      constexpr double largest = 6 * 448;  // of a code times that of its scale
      PIPPIN_TRY(const RecipePtr factors,
                 arithmetic(Op::divide, cast(scale->second, DType::F32), constant(largest, DType::F32, {})));
      Shape shape = factors->shape;
      shape.resize(dense->shape.size(), 1);
      PIPPIN_TRY(const RecipePtr each, reshape(factors, shape));
      PIPPIN_TRY(RecipePtr scaled, arithmetic(Op::multiply, cast(dense, DType::F32), each));
      return cast(std::move(scaled), dense->dtype);
    }
    for (const auto& [name, op] :
         {std::pair("weight_global_scale", Op::divide), std::pair("weight_scale_2", Op::multiply)}) {
      if (!model_.tensors.contains(module.name_of(name))) continue;
      RecipePtr scale = stored(module.name_of(name));
      const DType together = scale->dtype == dense->dtype ? dense->dtype : DType::F32;  // as MLX promotes
      dense = cast(std::move(dense), together);
      scale = cast(std::move(scale), together);
      if (!scale->shape.empty()) {
        Shape shape = scale->shape;
        shape.resize(dense->shape.size(), 1);
        PIPPIN_TRY(scale, reshape(scale, shape));
      }
      PIPPIN_TRY(dense, arithmetic(op, dense, scale));
    }
    return dense;
  }

  Status place_quantized(const MlxModule& module, const QuantFormat& format, RecipePtr dense) {
    if (dense->dtype != DType::F32 && dense->dtype != DType::F16 && dense->dtype != DType::BF16) {
      return fail(ErrorTag::unsupported, "only F32, F16 and BF16 weights can be quantized",
                  fmt::format("{} is {}", module.name_of("weight"), name_of(dense->dtype)),
                  fmt::format("give --keep \"{}\"", module.path));
    }
    const PackedShapes shapes = packed_shapes(dense->shape, format);
    const bool affine = row_of(format.mode).has_biases;
    const DType scale_dtype = affine ? dense->dtype : DType::U8;
    std::vector<uint32_t> outputs{add_output(module.name_of("weight"), DType::U32, shapes.weight),
                                  add_output(module.name_of("scales"), scale_dtype, shapes.scales)};
    if (affine) outputs.push_back(add_output(module.name_of("biases"), scale_dtype, shapes.scales));
    plan_.jobs.push_back(
        {std::move(dense), format, std::move(outputs),
         fmt::format("{} {} bits, group {}", row_of(format.mode).name, format.bits, format.group_size)});
    return {};
  }

  // weight, scales and biases that a rule quantized from one dense input become one job.
  void join_parts() {
    std::map<const Recipe*, size_t> by_input;
    std::vector<Job> joined;
    for (auto& job : plan_.jobs) {
      const auto* part = job.quantize ? nullptr : std::get_if<QuantizePart>(&job.value->op);
      if (part == nullptr || job.value->inputs.empty()) {
        joined.push_back(std::move(job));
        continue;
      }
      const RecipePtr dense = job.value->inputs[0];
      if (part->part == QuantizePart::Part::weight) {
        by_input[dense.get()] = joined.size();
        joined.push_back({dense, part->format, job.outputs, "quantized again after a split"});
      } else if (const auto found = by_input.find(dense.get());
                 found != by_input.end() && joined[found->second].quantize == part->format) {
        joined[found->second].outputs.push_back(job.outputs[0]);
      } else {
        joined.push_back(std::move(job));
      }
    }
    plan_.jobs = std::move(joined);
    split_incomplete();
  }

  // A part whose siblings were cast on their way out is computed by itself.
  void split_incomplete() {
    for (auto& job : plan_.jobs) {
      const size_t parts = job.quantize && row_of(job.quantize->mode).has_biases ? 3 : 2;
      if (!job.quantize || job.outputs.size() == parts) continue;
      auto alone = quantize_part(*job.quantize, job.value, QuantizePart::Part::weight);
      if (!alone) continue;
      job.value = *alone;
      job.quantize.reset();
    }
  }

  [[nodiscard]] bool counted(const std::string& name) const {
    const auto& uncounted = model_.scope->spec().uncounted;
    return std::none_of(uncounted.begin(), uncounted.end(),
                        [&](const NamePattern& pattern) { return pattern.match(name).has_value(); });
  }

  // As mlx-lm counts: leaf modules only; a packed weight by its bits, its scales not at all.
  void count_parameters() {
    for (const auto& [index, parameter] : model_.tree.order) {
      const MlxModule& module = model_.tree.modules[index];
      const MlxParameter& one = module.parameters[parameter];
      if (!module.leaf || is_global_scale(one.name) || !counted(module.name_of(one.name))) continue;
      const bool becomes_dense = precision_.modules[index].treatment == Treatment::dequantize;
      const auto& packed = model_.packed[index];
      auto count = static_cast<uint64_t>(element_count(one.shape));
      if (packed && !becomes_dense && one.name == "weight") {
        count = static_cast<uint64_t>(element_count(packed_shapes(one.shape, *packed).weight)) * 32 /
                static_cast<uint64_t>(packed->bits);
      }
      plan_.total_parameters += count;
    }
  }

  Json output_config() {
    Json config = std::move(precision_.config);
    const bool lm = request_.target == Target::mlx_lm;
    config.erase("_name_or_path");
    if (lm && !model_.scope->spec().keep_vision_config) config.erase("vision_config");
    if (!lm) {
      config.erase("torch_dtype");
      if (request_.quantize && !config.contains("vision_config")) config["vision_config"] = Json::object();
    }
    bool still_packed = false;  // and told by config.json alone
    for (size_t i = 0; i < model_.packed.size(); ++i)
      still_packed = still_packed || (model_.packed[i] && !model_.tree.modules[i].repacks);
    const bool unsaid = !config.contains("quantization") && still_packed && !request_.dequantize;
    if (unsaid) config["quantization"] = model_.quantization;
    if (config.contains("quantization") && (lm || unsaid)) config["quantization_config"] = config["quantization"];
    std::map<std::string, Json> sorted;
    for (const auto& [key, value] : config.items()) sorted.emplace(key, value);
    Json result = Json::object();
    for (auto& [key, value] : sorted) result[key] = std::move(value);
    return result;
  }

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the recipe
  void collect_sources(const RecipePtr& recipe) {
    if (!visited_.insert(recipe.get()).second) return;
    if (const auto* source = std::get_if<FromSource>(&recipe->op)) used_.insert(source->tensor);
    for (const auto& input : recipe->inputs) collect_sources(input);
  }

  void list_dropped() {
    for (const auto& job : plan_.jobs) collect_sources(job.value);
    for (uint32_t i = 0; i < checkpoint_.tensors().size(); ++i) {
      if (used_.contains(i))
        plan_.source_bytes += checkpoint_.tensors()[i].size;
      else
        plan_.dropped.push_back(checkpoint_.tensors()[i].name);
    }
  }

  void list_assumed_ties() {
    for (const MlxModule& module : model_.tree.modules) {
      const auto weight = model_.tensors.find(module.name_of("weight"));
      if (module.kind != "embedding" || weight == model_.tensors.end()) continue;
      const auto* source = std::get_if<FromSource>(&weight->second->op);
      if (source == nullptr) continue;
      const TensorInfo& kept = checkpoint_.tensors()[source->tensor];
      for (const auto& name : plan_.dropped) {
        const TensorInfo* left_out = checkpoint_.find(name);
        if (left_out->dtype != kept.dtype || left_out->shape != kept.shape) continue;
        plan_.assumed_ties.emplace_back(left_out - checkpoint_.tensors().data(), source->tensor);
      }
    }
  }

  const Checkpoint& checkpoint_;
  const PlanRequest& request_;
  LoadedModel model_;
  Precision precision_;
  Plan plan_;
  std::unordered_set<const Recipe*> visited_;
  std::set<uint32_t> used_;
};

}  // namespace

Result<Plan> make_plan(const Checkpoint& checkpoint, const SpecLibrary& library, const SpecPtr& spec,
                       const PlanRequest& request) {
  PIPPIN_TRY(LoadedModel model, load_model(checkpoint, library, spec, request));
  PIPPIN_TRY(Precision precision, choose_precision(model, request));
  return Planner(checkpoint, request, std::move(model), std::move(precision)).plan();
}

}  // namespace pippin

#include "plan/loaded_model.h"

#include <map>

#include <fmt/format.h>

#include "plan/int4_sources.h"
#include "plan/loader_config.h"
#include "plan/packed_layers.h"
#include "plan/packed_sources.h"
#include "plan/source_formats.h"
#include "plan/strict_check.h"
#include "source/stamp.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// The source's tensors as MLX reads them: 8-bit floats as bytes; F64, which MLX cannot hold, as F32.
TensorMap source_tensors(const Checkpoint& checkpoint, std::vector<std::string>& warnings) {
  TensorMap tensors;
  size_t doubles = 0;
  for (uint32_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const TensorInfo& info = checkpoint.tensors()[i];
    DType dtype = info.dtype;
    if (dtype == DType::F8_E4M3 || dtype == DType::F8_E8M0) dtype = DType::U8;
    RecipePtr tensor = from_source(i, dtype, info.shape);
    if (dtype == DType::F64) {
      tensor = cast(tensor, DType::F32);
      ++doubles;
    }
    if (dtype == DType::F8_E5M2) tensor = cast(tensor, DType::BF16);
    tensors.emplace(info.name, std::move(tensor));
  }
  if (doubles > 0) warnings.push_back(fmt::format("{} tensors are F64, which MLX cannot hold: taken as F32", doubles));
  return tensors;
}

bool already_converted(const Checkpoint& checkpoint, Target target) {
  const auto stamp = stamp_of(checkpoint);
  return stamp && stamp->layout == "mlx" && stamp->target == name_of(target);
}

// mlx-vlm: a part of the model (not a list, not the language model) of which the checkpoint has nothing is left out.
void leave_out_absent_parts(ModuleTree& tree, const TensorMap& tensors, std::vector<std::string>& warnings) {
  std::map<std::string, bool> present;
  std::map<std::string, bool> is_list;
  const auto top = [](const std::string& path) { return path.substr(0, path.find('.')); };
  for (const auto& module : tree.modules) {
    const std::string part = top(module.path);
    if (part.empty() || part == "language_model" || present.contains(part)) continue;
    const auto first = tensors.lower_bound(part + ".");
    present[part] = first != tensors.end() && first->first.starts_with(part + ".");
    const std::string rest = module.path.size() > part.size() ? module.path.substr(part.size() + 1) : "";
    is_list[part] = !rest.empty() &&
                    rest.find_first_not_of("0123456789") == std::min(rest.find('.'), std::string::npos) &&
                    rest[0] >= '0' && rest[0] <= '9';
  }
  for (const auto& [part, there] : present) {
    if (there || is_list[part]) continue;
    warnings.push_back(fmt::format("the checkpoint has no weights for {}: left out", part));
    std::vector<MlxModule> kept;
    std::vector<size_t> new_index(tree.modules.size(), SIZE_MAX);
    for (size_t i = 0; i < tree.modules.size(); ++i) {
      if (top(tree.modules[i].path) == part) continue;
      new_index[i] = kept.size();
      kept.push_back(tree.modules[i]);
    }
    std::vector<std::pair<size_t, size_t>> order;
    for (const auto& [index, parameter] : tree.order) {
      if (new_index[index] != SIZE_MAX) order.emplace_back(new_index[index], parameter);
    }
    tree.modules = std::move(kept);
    tree.order = std::move(order);
    std::erase_if(tree.paths_last_first, [&top, &gone = part](const std::string& path) { return top(path) == gone; });
  }
}

}  // namespace

Result<LoadedModel> load_model(const Checkpoint& checkpoint, const SpecLibrary& library, const SpecPtr& spec,
                               const PlanRequest& request) {
  LoadedModel model;
  if (!spec->refuse.empty()) {
    return fail(ErrorTag::unsupported, spec->refuse, fmt::format("model_type {}", spec->model_types.front()),
                "see docs/architectures.md for what is supported");
  }
  model.config = loader_config(checkpoint, request.target);
  for (const auto& [key, file] : spec->config_files) {
    if (model.config.contains(key)) continue;
    PIPPIN_TRY(model.config[key], checkpoint.read_part(file));
  }
  model.tensors = source_tensors(checkpoint, model.warnings);
  PIPPIN_TRY(model.scope, SpecScope::make(library, spec, config_value(model.config)));
  model.scope->look_at(&model.tensors, "");

  const Json declared = source_quantization(model.config);
  PIPPIN_CHECK(check_known(declared, model.config));
  if (request.target == Target::mlx_vlm) {
    PIPPIN_TRY(model.quantization,
               unpack_before_rules(model.tensors, model.config, declared, checkpoint.hf_quant_config()));
  }
  if (already_converted(checkpoint, request.target)) {
    model.warnings.push_back(
        "the source was written by pippin for this target: its names and layouts are taken as they are");
    if (request.to_run) PIPPIN_CHECK(apply_weight_rules(*model.scope, model.tensors, true));
  } else {
    PIPPIN_CHECK(apply_weight_rules(*model.scope, model.tensors, false, &model.warnings));
  }
  if (request.target == Target::mlx_lm) {
    PIPPIN_TRY(model.quantization,
               unpack_after_rules(model.tensors, model.config, checkpoint, request, model.warnings));
  }
  PIPPIN_CHECK(edit_config(model.config, *model.scope));
  PIPPIN_TRY(model.tree, build_modules(*model.scope));
  if (request.target == Target::mlx_lm) make_ternary(model.tree, model.config);
  if (declared.is_object() && declared.value("quant_method", Json()) == "gptq")
    PIPPIN_CHECK(drop_zero_biases(model.tree, model.tensors, checkpoint, model.warnings));
  const bool scaled_experts = add_global_scales(model.tree, model.tensors, request.target);
  if (scaled_experts && request.target == Target::mlx_lm && request.dequantize) {
    model.warnings.push_back(
        "mlx-lm's -d leaves out the scale that each nvfp4 expert has, and so does this: the dense experts are not "
        "those of the model; --requantize reads them right");
  }
  if (request.target == Target::mlx_vlm) leave_out_absent_parts(model.tree, model.tensors, model.warnings);
  if (!model.config.contains("quantization") || model.config["quantization"].is_null()) {
    PIPPIN_CHECK(add_packed_rules(*spec, model.tree, model.tensors, model.quantization));
  }
  for (const auto& module : model.tree.modules) {
    PIPPIN_TRY(auto format, packed_format(module, model.tensors, model.quantization, request.target));
    model.packed.push_back(format);
  }
  PIPPIN_CHECK(check_strictly(model.tree, model.packed, model.tensors));
  return model;
}

}  // namespace pippin

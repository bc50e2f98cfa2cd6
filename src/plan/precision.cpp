#include "plan/precision.h"

#include <array>

#include <fmt/format.h>

#include "plan/packed_layers.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// What a spec's quantize rules say of a module: not named (take the run's format), kept, or an entry.
struct Opinion {
  enum class Kind : uint8_t { none, keep, entry } kind = Kind::none;
  Json entry;
  std::optional<int> fallback_group_size;
};

// NOLINTNEXTLINE(misc-no-recursion): one level an include
Result<Opinion> spec_opinion(const SpecScope& scope, const std::string& path, const Shape& weight) {
  for (const auto& rule : scope.spec().quantize) {
    if (rule.include) {
      const std::string prefix = rule.at.empty() ? "" : rule.at + ".";
      if (!path.starts_with(prefix)) continue;
      PIPPIN_TRY(const auto inner, scope.inner(*rule.include));
      PIPPIN_TRY(Opinion opinion, spec_opinion(*inner, path.substr(prefix.size()), weight));
      if (opinion.kind != Opinion::Kind::none) return opinion;
      continue;
    }
    for (const auto& pattern : rule.modules) {
      const auto captures = pattern.match(path);
      if (!captures) continue;
      if (rule.only_if) {
        Bindings bindings(&scope);
        for (const auto& [name, value] : *captures) bindings.set(name, value);
        bindings.set("path", path);
        bindings.set("shape", weight);
        PIPPIN_TRY(const bool holds, rule.only_if->test(bindings));
        if (!holds) continue;
      }
      if (rule.keep) return Opinion{Opinion::Kind::keep, nullptr, std::nullopt};
      return Opinion{Opinion::Kind::entry, rule.format, rule.fallback_group_size};
    }
  }
  return Opinion{};
}

std::optional<DType> conversion_dtype(const LoadedModel& model, const PlanRequest& request,
                                      std::vector<std::string>& warnings) {
  if (request.dtype) return request.dtype;
  const Json& config = model.config;
  Json name = config.value("torch_dtype", Json(nullptr));
  if (name.is_null() && config.contains("text_config") && config["text_config"].is_object()) {
    name = config["text_config"].value("dtype", Json(nullptr));
  }
  if (name == "float16") return DType::F16;
  if (name == "bfloat16") return DType::BF16;
  if (name == "float32") return DType::F32;
  if (!name.is_null())
    warnings.push_back(
        fmt::format("config.json asks for dtype {}, which MLX does not have: weights keep theirs", name.dump()));
  const Json top = config.value("dtype", Json(nullptr));
  static constexpr std::array<std::pair<std::string_view, DType>, 3> known{
      {{"float16", DType::F16}, {"bfloat16", DType::BF16}, {"float32", DType::F32}}};
  for (const auto& [label, dtype] : known) {
    if (!name.is_null() || top != label) continue;
    size_t others = 0;
    for (const auto& [tensor_name, tensor] : model.tensors)
      others += is_floating(tensor->dtype) && tensor->dtype != dtype ? 1 : 0;
    if (others > 0) {
      warnings.push_back(
          fmt::format("config.json says dtype {}, but {} tensors are stored otherwise and stay so, as with the "
                      "reference; --dtype {} converts them",
                      label, others, label));
    }
  }
  return std::nullopt;
}

class Chooser {
 public:
  Chooser(const LoadedModel& model, const PlanRequest& request) : model_(model), request_(request) {}

  Result<Precision> choose() {
    if (request_.quantize && request_.dequantize) {
      return fail(ErrorTag::usage, "choose either quantize or dequantize", "-q and -d were both given",
                  "leave one of them out");
    }
    result_.config = model_.config;
    result_.modules.resize(model_.tree.modules.size());
    result_.dtype = conversion_dtype(model_, request_, result_.warnings);
    if (request_.quantize) {
      PIPPIN_CHECK(quantize());
    } else if (request_.dequantize) {
      dequantize();
    }
    return std::move(result_);
  }

 private:
  Status quantize() {
    run_ = QuantFormat{request_.mode, request_.bits.value_or(row_of(request_.mode).default_bits),
                       request_.group_size.value_or(row_of(request_.mode).default_group_size)};
    PIPPIN_CHECK(prepare_recipe());
    Json& config = result_.config;
    const Json effective = config.contains("quantization") && !config["quantization"].is_null() ? config["quantization"]
                                                                                                : model_.quantization;
    const bool fresh = effective.is_null() || request_.requantize;
    fine_grained_ = !fresh;
    entries_ = fresh ? entry_of(run_) : effective;
    for (size_t i = 0; i < model_.tree.modules.size(); ++i) {
      PIPPIN_CHECK(choose_module(i));
    }
    if (parts_kept_ > 0) {
      result_.warnings.push_back(
          fmt::format("{} layers of the vision and audio parts stay unquantized: their rows do not divide into groups "
                      "of {}",
                      parts_kept_, run_.group_size));
    }
    if (left_packed_ > 0 && wanted_other_) {
      result_.warnings.push_back(
          fmt::format("{} layers of the source are quantized already and stay as they are; --requantize "
                      "brings them to what was asked",
                      left_packed_));
    }
    config["quantization"] = entries_;
    config["quantization_config"] = entries_;
    return {};
  }

  Status prepare_recipe() {
    if (!request_.recipe) return {};
    if (request_.recipe->affine_only() && request_.mode != QuantMode::affine) {
      return fail(
          ErrorTag::usage, "this recipe is for affine quantization",
          fmt::format("--quant-predicate {} with --q-mode {}", request_.recipe->name(), row_of(request_.mode).name),
          "leave out --q-mode");
    }
    const Spec& spec = model_.scope->spec();
    if (!spec.no_recipe.empty()) {
      return fail(ErrorTag::unsupported, spec.no_recipe, fmt::format("--quant-predicate {}", request_.recipe->name()),
                  "leave out --quant-predicate, or use --quantize-module");
    }
    PIPPIN_TRY(layer_location_, request_.recipe->layer_location(model_.tree.paths_last_first));
    if (spec.recipe_layers) {
      PIPPIN_TRY(num_layers_, spec.recipe_layers->integer(*model_.scope));
      return {};
    }
    const auto layers = model_.scope->lookup("num_hidden_layers");
    if (layers && *layers && (*layers)->is_number_integer()) num_layers_ = (*layers)->get<int64_t>();
    return {};
  }

  Status choose_module(size_t index) {
    const MlxModule& module = model_.tree.modules[index];
    if (!module.quantizable) return {};
    const auto& packed = model_.packed[index];
    if (packed && module.repacks && !(*packed == run_) && !module.parameters[0].shape.empty()) {
      // MLX looks at the rows of words.
      return apply_rules(index, packed_shapes(module.parameters[0].shape, *packed).weight, module.path);
    }
    if (packed && !request_.requantize) {
      ++left_packed_;
      wanted_other_ = wanted_other_ || !(*packed == run_);
      return {};
    }
    const Shape& shape = module.parameters[0].shape;
    if (shape.empty()) return {};
    if (const ModuleOverride* own = override_for(module.path)) return apply_override(index, *own);
    return apply_rules(index, shape, module.path);
  }

  [[nodiscard]] const ModuleOverride* override_for(const std::string& path) const {
    for (const auto& one : request_.overrides) {
      if (one.modules.match(path)) return &one;
    }
    return nullptr;
  }

  Status apply_override(size_t index, const ModuleOverride& own) {
    const MlxModule& module = model_.tree.modules[index];
    if (!own.format) return keep(index);
    if (module.parameters[0].shape.back() % own.format->group_size != 0) {
      return fail(ErrorTag::usage, "a row divides into whole groups",
                  fmt::format("--quantize-module {}: {} has rows of {}, groups are {}", own.modules.text(), module.path,
                              module.parameters[0].shape.back(), own.format->group_size),
                  "choose another group size");
    }
    set(index, *own.format, entry_of(*own.format));
    return {};
  }

  // A packed layer that is to stay unquantized in a requantization is dequantized.
  Status keep(size_t index) {
    const bool stays = model_.tree.modules[index].repacks && !request_.requantize;
    if (model_.packed[index] && !stays) result_.modules[index].treatment = Treatment::dequantize;
    return {};
  }

  // Rows that do not divide into groups.
  Status keep_odd(size_t index, const std::string& path, bool left_alone) {
    const bool part = request_.target == Target::mlx_vlm && is_multimodal(path, PlanRequest{});
    parts_kept_ += part && !left_alone ? 1 : 0;
    return keep(index);
  }

  Status apply_rules(size_t index, const Shape& shape, const std::string& path) {
    if (run_.group_size <= 0) return check(run_);
    const bool divides = shape.back() % run_.group_size == 0;
    const bool multimodal = request_.target == Target::mlx_vlm && is_multimodal(path, request_);
    Opinion opinion;
    if (request_.recipe) {
      if (!divides) return keep_odd(index, path, multimodal);
      PIPPIN_TRY(Json entry,
                 request_.recipe->entry({path, shape, layer_location_, num_layers_, run_.group_size, multimodal}));
      opinion = entry.is_null() ? Opinion{Opinion::Kind::keep, nullptr, std::nullopt}
                                : Opinion{Opinion::Kind::entry, entry, std::nullopt};
    } else {
      if (multimodal) return keep(index);
      PIPPIN_TRY(opinion, spec_opinion(*model_.scope, path, shape));
      if (!divides && !opinion.fallback_group_size) return keep_odd(index, path, multimodal);
    }
    if (opinion.kind == Opinion::Kind::keep) return keep(index);
    if (opinion.kind == Opinion::Kind::none) {
      PIPPIN_CHECK(check(run_));
      set(index, run_, fine_grained_ ? entry_of(run_) : Json(nullptr));
      return {};
    }
    return apply_entry(index, shape, path, opinion);
  }

  Status apply_entry(size_t index, const Shape& shape, const std::string& path, Opinion opinion) {
    if (opinion.fallback_group_size) {
      Json full = entry_of(run_);
      full.update(opinion.entry);
      const auto group = full["group_size"].get<int64_t>();
      if (shape.back() % group != 0 && shape.back() % *opinion.fallback_group_size == 0)
        full["group_size"] = *opinion.fallback_group_size;
      opinion.entry = full;
    }
    PIPPIN_TRY(QuantFormat format, format_of(opinion.entry, path));
    if (shape.back() % format.group_size != 0) {
      if (opinion.fallback_group_size || request_.target == Target::mlx_vlm) return keep(index);
      // The reference fails here: its own rule names a group that does not divide the row.
      format.group_size = run_.group_size;
      opinion.entry["group_size"] = run_.group_size;
      PIPPIN_CHECK(check(format));
      result_.warnings.push_back(
          fmt::format("{}: groups of {} instead of the model's own, which do not divide a row of {}", path,
                      run_.group_size, shape.back()));
    }
    set(index, format, opinion.entry);
    return {};
  }

  void set(size_t index, const QuantFormat& format, const Json& entry) {
    result_.modules[index] = {Treatment::quantize, format};
    if (!entry.is_null()) entries_[model_.tree.modules[index].path] = entry;
  }

  void dequantize() {
    size_t left = 0;
    for (size_t i = 0; i < model_.tree.modules.size(); ++i) {
      if (!model_.packed[i] || model_.tree.modules[i].repacks) continue;
      // Layers that also quantize their activations, and mlx-lm's multi_linear, have no dense form in the reference.
      const bool activations = truth(Value(model_.config.value("quantize_activations", Json(nullptr)))) &&
                               model_.tree.modules[i].kind == "linear";
      const bool known = (model_.tree.modules[i].dequantizable && !activations) || request_.target == Target::mlx_vlm;
      if (known)
        result_.modules[i].treatment = Treatment::dequantize;
      else
        ++left;
    }
    result_.packed_undeclared = left > 0;
    if (left > 0) result_.warnings.push_back(fmt::format("{} layers stay packed, as with the reference", left));
    result_.config.erase("quantization");
    result_.config.erase("quantization_config");
  }

  const LoadedModel& model_;
  const PlanRequest& request_;
  Precision result_;
  QuantFormat run_;
  Json entries_;
  bool fine_grained_ = false;
  bool wanted_other_ = false;
  size_t left_packed_ = 0;
  size_t parts_kept_ = 0;  // asked for by --quantize-vision or --quantize-audio, but of shapes that forbid it
  size_t layer_location_ = 0;
  int64_t num_layers_ = 0;
};

}  // namespace

bool is_multimodal(const std::string& path, const PlanRequest& request) {
  static constexpr std::array<std::pair<std::string_view, bool>, 9> parts{{{"vision", false},
                                                                           {"aligner", false},
                                                                           {"vl_connector", false},
                                                                           {"sam_model", false},
                                                                           {"audio_model", true},
                                                                           {"audio_tower", true},
                                                                           {"code_predictor", true},
                                                                           {"img_projector", false},
                                                                           {"multi_modal_projector", false}}};
  for (const auto& [part, audio] : parts) {
    if (path.find(part) != std::string::npos && !(audio ? request.quantize_audio : request.quantize_vision))
      return true;
  }
  return path.find("patch_merge_mlp") != std::string::npos && !request.quantize_vision;
}

Result<Precision> choose_precision(const LoadedModel& model, const PlanRequest& request) {
  return Chooser(model, request).choose();
}

}  // namespace pippin

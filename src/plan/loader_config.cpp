#include "plan/loader_config.h"

#include <array>

#include <fmt/format.h>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

bool truthy(const Json& value) {
  return truth(Value(value));
}

void fold_generation_config(Json& config, const Json& generation, Target target) {
  if (!generation.is_object()) return;
  if (target == Target::mlx_lm) {
    if (generation.contains("eos_token_id") && truthy(generation["eos_token_id"])) {
      config["eos_token_id"] = generation["eos_token_id"];
    }
    return;
  }
  if (generation.empty()) return;
  config["generation_config"] = generation;
  static constexpr std::array<const char*, 5> keys{"eos_token_id", "temperature", "top_p", "top_k", "do_sample"};
  for (const char* key : keys) {
    if (generation.contains(key)) config[key] = generation[key];
  }
}

}  // namespace

Json source_quantization(const Json& config) {
  if (config.contains("quantization_config") && !config["quantization_config"].is_null())
    return config["quantization_config"];
  if (config.contains("text_config") && config["text_config"].is_object()) {
    return config["text_config"].value("quantization_config", Json(nullptr));
  }
  return nullptr;
}

Json loader_config(const Checkpoint& checkpoint, Target target) {
  Json config = checkpoint.config();
  fold_generation_config(config, checkpoint.generation_config(), target);
  if (target == Target::mlx_vlm) return config;
  if (!config.contains("quantization_config")) {
    const Json found = source_quantization(config);
    if (!found.is_null())
      config["quantization_config"] = found;
    else if (!checkpoint.hf_quant_config().is_null())
      config["quantization_config"] = checkpoint.hf_quant_config();
  }
  return config;
}

Value config_value(const Json& config) {
  return Value(config);
}

Status edit_config(Json& config, const SpecScope& scope) {
  for (const auto& edit : scope.spec().config_edits) {
    if (edit.condition) {
      PIPPIN_TRY(const bool wanted, edit.condition->test(scope));
      if (!wanted) continue;
    }
    Json* at = &config;
    std::string rest = edit.path;
    for (size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
      Json& inner = (*at)[rest.substr(0, dot)];
      if (!inner.is_object() && !inner.is_null()) break;
      at = &inner;
      rest = rest.substr(dot + 1);
    }
    if (!at->is_object() && !at->is_null()) continue;
    if (edit.remove) {
      at->erase(rest);
    } else if (!edit.only_if_absent || !at->contains(rest)) {
      PIPPIN_TRY(Value value, edit.value->evaluate(scope));
      (*at)[rest] = Json(value);
    }
  }
  return {};
}

}  // namespace pippin

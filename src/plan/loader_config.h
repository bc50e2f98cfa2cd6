// config.json as each target's loader reads it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "plan/request.h"
#include "source/checkpoint.h"
#include "spec/expression.h"
#include "spec/spec_scope.h"

namespace pippin {

// config.json with what the loader folds in: generation_config.json's fields, a quantization_config from elsewhere.
nlohmann::ordered_json loader_config(const Checkpoint& checkpoint, Target target);

// The config as expressions see it: tagged infinities become large numbers' absence (null), objects and lists as they
// are.
Value config_value(const nlohmann::ordered_json& config);

// Applies the spec's config_edits.
Status edit_config(nlohmann::ordered_json& config, const SpecScope& scope);

// The quantization_config that describes the source, wherever it stands; null if there is none.
nlohmann::ordered_json source_quantization(const nlohmann::ordered_json& config);

}  // namespace pippin

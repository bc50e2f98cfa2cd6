// Which target and which spec a checkpoint is converted by.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/plan.h"
#include "plan/request.h"
#include "spec/spec_library.h"

namespace pippin {

struct SpecChoice {
  Target target = Target::mlx_lm;
  std::string reason;  // why this target, in words; empty where the user said so
  std::string spec;    // "mlx_lm/llama"
};

// The model_type of config.json as the target's loader takes it. An error (bad_config) where there is none.
Result<std::string> model_type_of(const nlohmann::ordered_json& config);

// target: "auto", "mlx-lm" or "mlx-vlm". arch_name: a spec the user insists on, or empty.
// auto takes mlx-vlm where config.json tells of vision or audio and mlx-vlm has the model, else mlx-lm, else mlx-vlm.
Result<SpecChoice> choose_spec(const SpecLibrary& library, const nlohmann::ordered_json& config,
                               const std::string& target, const std::string& arch_name);

// The same for a folder. Where no spec answers to the model_type, the error offers those that the tensors fit.
Result<SpecChoice> choose_spec_of(const std::filesystem::path& folder, const SpecLibrary& library,
                                  const nlohmann::ordered_json& config, const std::string& target,
                                  const std::string& arch_name);

// For a spec that the user named: the output's config.json takes its model_type, if its own is none of the spec's,
// since the target could not load it otherwise. Adds a warning.
void take_model_type(const Spec& spec, Plan& plan);

}  // namespace pippin

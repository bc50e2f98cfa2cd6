// A checkpoint as the reference would have it in memory after loading, with recipes where it has arrays.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "plan/request.h"
#include "quantize/mode.h"
#include "source/checkpoint.h"
#include "spec/module_tree.h"
#include "spec/spec_library.h"
#include "spec/spec_scope.h"
#include "spec/tensor_map.h"

namespace pippin {

struct LoadedModel {
  nlohmann::ordered_json config;        // as the reference would write it without further work
  nlohmann::ordered_json quantization;  // how packed layers are packed: global format and entries by path; null if none
  TensorMap tensors;                    // MLX names; exactly the parameters of the tree
  ModuleTree tree;
  std::vector<std::optional<QuantFormat>> packed;  // for each module of the tree: how it is quantized already
  std::unique_ptr<SpecScope> scope;
  std::vector<std::string> warnings;
};

// Opens the source as the target's loader does: config, source quantization, weight rules, strict check.
// Every tensor that is missing, unexpected or misshapen is named in one error (mismatch).
Result<LoadedModel> load_model(const Checkpoint& checkpoint, const SpecLibrary& library, const SpecPtr& spec,
                               const PlanRequest& request);

}  // namespace pippin

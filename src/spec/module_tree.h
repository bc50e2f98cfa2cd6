// The MLX model as a tree of modules with parameters: what a strict load will ask for.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pippin/error.h"
#include "spec/spec_scope.h"
#include "tensor/shape.h"

namespace pippin {

struct MlxParameter {
  std::string name;  // last part: "weight"
  Shape shape;
};

// A module that holds parameters itself.
struct MlxModule {
  std::string path;  // "model.layers.0.self_attn.q_proj"; empty for the root
  std::string kind;  // the constructor: "linear", ... ; "tensor" where it holds bare parameters
  std::vector<MlxParameter> parameters;
  bool quantizable = false;    // has to_quantized in MLX
  bool dequantizable = false;  // mlx-lm's --dequantize knows it
  bool leaf = true;            // has no modules inside; only leaves count in total_parameters
  bool repacks = false;        // MLX quantizes it anew even where it is packed

  [[nodiscard]] std::string name_of(const std::string& parameter) const {
    return path.empty() ? parameter : path + "." + parameter;
  }
};

struct ModuleTree {
  std::vector<MlxModule> modules;             // in the order in which MLX flattens the model
  std::vector<std::string> paths_last_first;  // every module path in the order of named_modules(), for the recipes
  // Every parameter in the order in which MLX flattens the model: (module index, parameter index).
  std::vector<std::pair<size_t, size_t>> order;
};

// All modules of the scope's spec. The scope must look at the tensors after the weight rules.
Result<ModuleTree> build_modules(const SpecScope& scope);

// Names and arguments of the module constructors, for the manual: "linear(out, in, bias=false)".
std::vector<std::string> module_constructors();

}  // namespace pippin

// Mixed-bit recipes as data (recipes/*/*.toml): which modules get how many bits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "spec/expression.h"
#include "spec/name_pattern.h"

namespace pippin {

// A recipe: rules over module paths, the first that matches holds. Its expressions see path, layer (the number in the
// path at the place where the first down projection has its), num_layers, group_size (the run's), shape, multimodal
// (mlx-vlm's skip list holds), and the recipe's own [let] names.
class MixedRecipe {
 public:
  static Result<std::shared_ptr<const MixedRecipe>> parse(std::string_view text, const std::string& name);
  // A built-in recipe of a folder ("mlx_lm"), or a file of the user's.
  static Result<std::shared_ptr<const MixedRecipe>> find(const std::string& folder, const std::string& name_or_path);
  // Names of the built-in recipes of a folder.
  static std::vector<std::string> names(const std::string& folder);

  // Where layer numbers stand, read off the module paths in the order of named_modules(). Fails (unsupported) where the
  // model has no module that the recipe builds on.
  [[nodiscard]] Result<size_t> layer_location(const std::vector<std::string>& paths) const;

  // The config entry for a module ({"bits", "group_size"[, "mode"]}), or null where it stays unquantized.
  struct Question {
    std::string path;
    std::vector<int64_t> shape;  // of the weight
    size_t layer_location;
    int64_t num_layers;
    int64_t group_size;
    bool multimodal;
  };
  [[nodiscard]] Result<nlohmann::ordered_json> entry(const Question& question) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool affine_only() const { return affine_only_; }

 private:
  struct Rule {
    std::vector<NamePattern> modules;
    std::optional<Expression> condition;
    bool keep = false;
    std::vector<std::pair<std::string, Expression>> format;
  };
  Status read_rule(const nlohmann::ordered_json& table, const std::string& where);

  std::string name_;
  bool affine_only_ = false;
  std::vector<NamePattern> down_projection_;
  std::vector<std::pair<std::string, Expression>> lets_;
  std::vector<Rule> rules_;
};

}  // namespace pippin

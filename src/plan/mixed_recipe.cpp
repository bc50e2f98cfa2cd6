#include "plan/mixed_recipe.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "source/ascii_text.h"
#include "spec/spec_document.h"
#include "spec/spec_library.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

tl::unexpected<Error> bad(const std::string& where, const std::string& rule) {
  return fail(ErrorTag::bad_spec, rule, where, "recipes/README.md has the keys of a recipe");
}

Result<std::vector<NamePattern>> patterns(const Json& value, const std::string& where) {
  std::vector<NamePattern> result;
  for (const auto& item : value.is_array() ? value : Json::array({value})) {
    if (!item.is_string()) return bad(where, "this must be a pattern or a list of patterns");
    PIPPIN_TRY(NamePattern pattern, NamePattern::parse(item.get<std::string>(), where));
    result.push_back(std::move(pattern));
  }
  return result;
}

Result<Expression> expression(const Json& value, const std::string& where) {
  return Expression::parse(value.is_string() ? value.get<std::string>() : value.dump(), where);
}

std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class RecipeScope : public Environment {
 public:
  RecipeScope(const MixedRecipe::Question& question, const std::vector<std::pair<std::string, Expression>>& lets)
      : lets_(lets) {
    const auto parts = parts_of(question.path, ".");
    const bool has_layer = parts.size() > question.layer_location;
    values_["path"] = question.path;
    values_["layer"] = has_layer ? number(parts[question.layer_location]).value_or(0) : int64_t{0};
    values_["num_layers"] = question.num_layers;
    values_["group_size"] = question.group_size;
    values_["shape"] = question.shape;
    values_["multimodal"] = question.multimodal;
  }

  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override {
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    for (const auto& [let, value] : lets_) {
      if (let == name && depth_ < 32) {
        ++depth_;
        auto result = value.evaluate(*this);
        --depth_;
        return result;
      }
    }
    return std::nullopt;
  }

 private:
  const std::vector<std::pair<std::string, Expression>>& lets_;
  std::map<std::string, Value, std::less<>> values_;
  mutable int depth_ = 0;
};

Result<Json> document(const std::string& name, const std::string& text) {
  PIPPIN_TRY(Json own, parse_toml(text, name));
  if (!own.contains("extends") || !own["extends"].is_string()) return own;
  const auto base_name = own["extends"].get<std::string>();
  for (const auto& file : embedded_recipes()) {
    if (file.name != base_name) continue;
    PIPPIN_TRY(Json base, parse_toml(file.text, base_name));
    return merge_documents(std::move(base), own, name);
  }
  return bad(name, fmt::format("extends names a built-in recipe, not {}", base_name));
}

}  // namespace

Result<std::shared_ptr<const MixedRecipe>> MixedRecipe::parse(std::string_view text, const std::string& name) {
  PIPPIN_TRY(const Json table, document(name, std::string(text)));
  auto recipe = std::make_shared<MixedRecipe>();
  recipe->name_ = name;
  for (const auto& [key, value] : table.items()) {
    const std::string where = name + ", " + key;
    if (key == "affine_only" && value.is_boolean()) {
      recipe->affine_only_ = value.get<bool>();
    } else if (key == "down_projection") {
      PIPPIN_TRY(recipe->down_projection_, patterns(value, where));
    } else if (key == "let" && value.is_object()) {
      for (const auto& [let, formula] : value.items()) {
        PIPPIN_TRY(Expression parsed, expression(formula, where + "." + let));
        recipe->lets_.emplace_back(let, std::move(parsed));
      }
    } else if (key == "rules" && value.is_array()) {
      for (const auto& rule : value) {
        PIPPIN_CHECK(recipe->read_rule(rule, where));
      }
    } else if (key != "title" && key != "base") {
      return bad(where, "unknown key");
    }
  }
  if (recipe->rules_.empty()) return bad(name, "a recipe needs [[rules]]");
  return std::shared_ptr<const MixedRecipe>(std::move(recipe));
}

Status MixedRecipe::read_rule(const Json& table, const std::string& where) {
  if (!table.is_object()) return bad(where, "a rule is a table");
  Rule rule;
  for (const auto& [key, value] : table.items()) {
    if (key == "modules") {
      PIPPIN_TRY(rule.modules, patterns(value, where));
    } else if (key == "if") {
      PIPPIN_TRY(rule.condition, expression(value, where));
    } else if (key == "keep") {
      rule.keep = value.is_boolean() && value.get<bool>();
    } else if (key == "bits" || key == "group_size" || key == "mode") {
      PIPPIN_TRY(Expression formula,
                 expression(key == "mode" ? Json("\"" + value.get<std::string>() + "\"") : value, where));
      rule.format.emplace_back(key, std::move(formula));
    } else {
      return bad(where + "." + key, "unknown key");
    }
  }
  if (rule.modules.empty()) return bad(where, "a rule needs modules");
  rules_.push_back(std::move(rule));
  return {};
}

Result<std::shared_ptr<const MixedRecipe>> MixedRecipe::find(const std::string& folder,
                                                             const std::string& name_or_path) {
  for (const auto& file : embedded_recipes()) {
    if (file.name == folder + "/" + name_or_path) return parse(file.text, std::string(file.name));
  }
  std::error_code code;
  const bool is_file = name_or_path.ends_with(".toml") || name_or_path.find('/') != std::string::npos;
  if (is_file && std::filesystem::is_regular_file(name_or_path, code)) {
    std::ifstream stream(name_or_path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    return parse(text, name_or_path);
  }
  return fail(ErrorTag::usage, "a recipe is a built-in name or a .toml file",
              fmt::format("--quant-predicate {}", name_or_path),
              fmt::format("use one of {}", fmt::join(names(folder), ", ")));
}

std::vector<std::string> MixedRecipe::names(const std::string& folder) {
  std::vector<std::string> result;
  for (const auto& file : embedded_recipes()) {
    const std::string name(file.name);
    if (name.starts_with(folder + "/") && !name.ends_with("/base")) result.push_back(name.substr(folder.size() + 1));
  }
  return result;
}

Result<size_t> MixedRecipe::layer_location(const std::vector<std::string>& paths) const {
  for (const auto& path : paths) {
    for (const auto& pattern : down_projection_) {
      if (!pattern.match(path)) continue;
      const auto parts = parts_of(path, ".");
      for (size_t i = 0; i < parts.size(); ++i) {
        if (number(parts[i])) return i;
      }
      return parts.size() - 1;
    }
  }
  if (down_projection_.empty()) return size_t{0};
  return fail(ErrorTag::unsupported, "a mixed recipe needs a model with down projections",
              fmt::format("no module is named as recipe {} expects", name_),
              "leave out --quant-predicate, or give a recipe file of your own for this model");
}

Result<Json> MixedRecipe::entry(const Question& question) const {
  const RecipeScope scope(question, lets_);
  for (const auto& rule : rules_) {
    const bool matches = std::any_of(rule.modules.begin(), rule.modules.end(), [&](const NamePattern& pattern) {
      return pattern.match(question.path).has_value();
    });
    if (!matches) continue;
    if (rule.condition) {
      PIPPIN_TRY(const bool holds, rule.condition->test(scope));
      if (!holds) continue;
    }
    if (rule.keep) return Json(nullptr);
    Json entry = Json::object();
    for (const auto& [key, formula] : rule.format) {
      PIPPIN_TRY(Value value, formula.evaluate(scope));
      entry[key] = value;
    }
    return entry;
  }
  return Json(nullptr);
}

}  // namespace pippin

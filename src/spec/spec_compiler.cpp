#include <algorithm>

#include <fmt/format.h>

#include "spec/spec.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

class Compiler {
 public:
  explicit Compiler(std::string name) { spec_.name = std::move(name); }

  Result<Spec> compile(const Json& document) {
    if (!document.is_object()) return bad("", "a spec is a table");
    for (const auto& [key, value] : document.items()) {
      PIPPIN_CHECK(section(key, value));
    }
    if (spec_.model_types.empty()) {
      const size_t slash = spec_.name.find('/');
      spec_.model_types.push_back(spec_.name.substr(slash == std::string::npos ? 0 : slash + 1));
    }
    return std::move(spec_);
  }

 private:
  [[nodiscard]] std::string place(const std::string& inside) const { return spec_.name + ".toml, " + inside; }
  [[nodiscard]] tl::unexpected<Error> bad(const std::string& inside, const std::string& rule) const {
    return fail(ErrorTag::bad_spec, rule, place(inside), "architectures/README.md has the keys of a spec");
  }

  Result<std::string> text(const Json& value, const std::string& inside) const {
    if (!value.is_string()) return bad(inside, "this must be a string");
    return value.get<std::string>();
  }

  Result<bool> flag(const Json& value, const std::string& inside) const {
    if (!value.is_boolean()) return bad(inside, "this must be true or false");
    return value.get<bool>();
  }

  Result<std::vector<std::string>> texts(const Json& value, const std::string& inside) const {
    std::vector<std::string> result;
    if (value.is_string()) return std::vector<std::string>{value.get<std::string>()};
    if (!value.is_array()) return bad(inside, "this must be a string or a list of strings");
    for (const auto& item : value) {
      PIPPIN_TRY(std::string one, text(item, inside));
      result.push_back(std::move(one));
    }
    return result;
  }

  // A string is an expression; numbers, booleans and lists of them stand for themselves.
  Result<Expression> expression(const Json& value, const std::string& inside) const {
    return Expression::parse(value.is_string() ? value.get<std::string>() : value.dump(), place(inside));
  }

  Result<std::vector<NamePattern>> patterns(const Json& value, const std::string& inside) const {
    PIPPIN_TRY(std::vector<std::string> all, texts(value, inside));
    std::vector<NamePattern> result;
    for (const auto& one : all) {
      PIPPIN_TRY(NamePattern pattern, NamePattern::parse(one, place(inside)));
      result.push_back(std::move(pattern));
    }
    return result;
  }

  Status section(const std::string& key, const Json& value) {
    if (key == "config") return fields(value);
    if (key == "let") return lets(value);
    if (key == "modules") return modules(value);
    if (key == "decoder") return decoder(value);
    if (key == "weights" || key == "quantize" || key == "packed" || key == "config_edits") {
      if (!value.is_array()) return bad(key, "this must be a list of tables, as [[" + key + "]] makes");
      for (size_t i = 0; i < value.size(); ++i) {
        const std::string inside = fmt::format("{}[{}]", key, i);
        if (!value[i].is_object()) return bad(inside, "this must be a table");
        PIPPIN_CHECK(list_item(key, value[i], inside));
      }
      return {};
    }
    return head(key, value);
  }

  Status list_item(const std::string& key, const Json& table, const std::string& inside) {
    if (key == "weights") return weight_rule(table, inside);
    if (key == "quantize") return quantize_rule(table, inside);
    if (key == "packed") return packed_rule(table, inside);
    return config_edit(table, inside);
  }

  Status head(const std::string& key, const Json& value) {
    if (key == "model_type") return store(spec_.model_types, texts(value, key));
    if (key == "architecture") return store(spec_.architectures, texts(value, key));
    if (key == "title") return store(spec_.title, text(value, key));
    if (key == "notes") return store(spec_.notes, text(value, key));
    if (key == "refuse") return store(spec_.refuse, text(value, key));
    if (key == "config_from") return store(spec_.config, text(value, key));
    if (key == "config_optional") return store(spec_.config_optional, flag(value, key));
    if (key == "merge_config") return store(spec_.merge_config, flag(value, key));
    if (key == "keep_dtype") return store(spec_.keep_dtype, patterns(value, key));
    if (key == "uncounted") return store(spec_.uncounted, patterns(value, key));
    if (key == "config_files") return config_files(value);
    if (key == "keep_vision_config") return store(spec_.keep_vision_config, flag(value, key));
    if (key == "no_recipe") return store(spec_.no_recipe, text(value, key));
    if (key == "fragment") return value.is_boolean() ? Status{} : bad(key, "this must be true or false");
    if (key == "recipe_layers") {
      PIPPIN_TRY(spec_.recipe_layers, expression(value, key));
      return {};
    }
    return bad(key, "unknown key");
  }

  template <typename T>
  static Status store(T& target, Result<T> value) {
    if (!value) return tl::unexpected<Error>(std::move(value).error());
    target = std::move(*value);
    return {};
  }

  Status fields(const Json& table) {
    if (!table.is_object()) return bad("config", "this must be a table");
    for (const auto& [key, value] : table.items()) {
      SpecField field;
      field.name = key;
      if (value == "required" || value == "required flag") {
        field.required = true;
        field.flag = value != "required";
      } else if (value.is_string() && value.get_ref<const std::string&>().starts_with("=")) {
        PIPPIN_TRY(field.computed,
                   Expression::parse(value.get_ref<const std::string&>().substr(1), place("config." + key)));
      } else if (value.is_string() && value.get_ref<const std::string&>() == "none") {
        field.fallback = nullptr;
      } else {
        field.fallback = Value::parse(value.dump());
      }
      spec_.fields.push_back(std::move(field));
    }
    return {};
  }

  Status lets(const Json& table) {
    if (!table.is_object()) return bad("let", "this must be a table");
    for (const auto& [key, value] : table.items()) {
      PIPPIN_TRY(Expression one, expression(value, "let." + key));
      spec_.lets.emplace_back(key, std::move(one));
    }
    return {};
  }

  Status modules(const Json& table) {
    if (!table.is_object()) return bad("modules", "this must be a table of tables");
    for (const auto& [name, group] : table.items()) {
      if (!group.is_object()) return bad("modules." + name, "this must be a table, as [modules." + name + "] makes");
      PIPPIN_TRY(ModuleGroup compiled, module_group(name, group));
      spec_.modules.push_back(std::move(compiled));
    }
    return put_in_order();
  }

  Status decoder(const Json& table) {
    if (!table.is_object()) return bad("decoder", "this must be a table");
    SpecDecoder result;
    for (const auto& [key, value] : table.items()) {
      const std::string here = "decoder." + key;
      if (key == "layers") {
        PIPPIN_TRY(result.layers, expression(value, here));
      } else if (key == "at") {
        PIPPIN_TRY(const std::string path, text(value, here));
        PIPPIN_TRY(result.at, NameTemplate::parse(path, place(here)));
      } else if (key == "start" || key == "layer" || key == "finish") {
        auto& part = key == "start" ? result.start : key == "layer" ? result.layer : result.finish;
        PIPPIN_TRY(part, steps(value, here));
      } else if (key == "functions") {
        PIPPIN_TRY(result.functions, functions(value, here));
      } else if (key == "carried") {
        PIPPIN_TRY(result.carried, texts(value, here));
      } else if (key == "include") {
        PIPPIN_TRY(result.include, include(table, "decoder"));
      } else if (key == "under") {
        PIPPIN_TRY(result.under, text(value, here));
      } else if (key != "config" && key != "with") {
        return bad(here, "unknown key");
      }
    }
    if (!result.include && !table.contains("layers")) return bad("decoder", "a decoder needs layers");
    spec_.decoder = std::move(result);
    return {};
  }

  Result<SpecDecoder::Steps> steps(const Json& table, const std::string& inside) const {
    if (!table.is_object()) return bad(inside, "this must be a table of steps");
    SpecDecoder::Steps result;
    for (const auto& [key, value] : table.items()) {
      PIPPIN_TRY(Expression one, expression(value, inside + "." + key));
      result.emplace_back(key, std::move(one));
    }
    return result;
  }

  // Keys read "turned(x, at)".
  Result<SpecDecoder::Functions> functions(const Json& table, const std::string& inside) const {
    if (!table.is_object()) return bad(inside, "this must be a table of functions");
    SpecDecoder::Functions result;
    for (const auto& [key, value] : table.items()) {
      const std::string here = inside + "." + key;
      const size_t open = key.find('(');
      if (open == 0 || open == std::string::npos || !key.ends_with(')'))
        return bad(here, "a function reads \"name(x, at)\"");
      SpecDecoder::Function function;
      std::string_view rest = std::string_view(key).substr(open + 1, key.size() - open - 2);
      while (!rest.empty()) {
        const size_t comma = std::min(rest.find(", "), rest.size());
        function.parameters.emplace_back(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 2, rest.size()));
      }
      PIPPIN_TRY(function.value, expression(value, here));
      if (!result.emplace(key.substr(0, open), std::move(function)).second)
        return bad(here, "a function is defined once");
    }
    return result;
  }

  // A group with `after` moves behind the group of that name, or behind those that have moved there before.
  Status put_in_order() {
    std::vector<ModuleGroup> ordered;
    std::vector<ModuleGroup> moving;
    for (auto& group : spec_.modules) (group.after.empty() ? ordered : moving).push_back(std::move(group));
    for (auto& group : moving) {
      const auto named = [&group](const ModuleGroup& other) { return other.name == group.after; };
      auto place = std::find_if(ordered.begin(), ordered.end(), named);
      if (place == ordered.end())
        return bad("modules." + group.name + ".after", "after names a group of modules that stands in the file");
      do ++place;
      while (place != ordered.end() && place->after == group.after);
      ordered.insert(place, std::move(group));
    }
    spec_.modules = std::move(ordered);
    return {};
  }

  Result<ModuleGroup> module_group(const std::string& name, const Json& group) const {
    const std::string inside = "modules." + name;
    ModuleGroup result;
    result.name = name;
    PIPPIN_TRY(result.at, NameTemplate::parse("", place(inside)));
    for (const auto& [key, value] : group.items()) {
      const std::string here = inside + "." + key;
      if (key == "for") {
        PIPPIN_TRY(std::vector<std::string> all, texts(value, here));
        for (const auto& one : all) {
          PIPPIN_TRY(Loop loop, parse_loop(one, here));
          result.loops.push_back(std::move(loop));
        }
      } else if (key == "if") {
        PIPPIN_TRY(result.condition, expression(value, here));
      } else if (key == "at") {
        PIPPIN_TRY(std::string path, text(value, here));
        PIPPIN_TRY(result.at, NameTemplate::parse(path, place(here)));
      } else if (key == "after") {
        PIPPIN_TRY(result.after, text(value, here));
      } else if (key == "include") {
        PIPPIN_TRY(result.include, include(group, inside));
      } else if (key != "config" && key != "with") {
        PIPPIN_CHECK(module_entry(key, value, here, result));
      }
    }
    const bool stray = !result.include && (group.contains("config") || group.contains("with"));
    if (stray) return bad(inside, "config and with belong to include");
    return result;
  }

  Status module_entry(const std::string& key, const Json& value, const std::string& inside, ModuleGroup& group) const {
    PIPPIN_TRY(NameTemplate name, NameTemplate::parse(key, place(inside)));
    PIPPIN_TRY(Expression made, expression(value, inside));
    group.entries.push_back({std::move(name), std::move(made)});
    return {};
  }

  Result<Loop> parse_loop(const std::string& one, const std::string& inside) const {
    const size_t in = one.find(" in ");
    if (in == std::string::npos || in == 0) return bad(inside, "a loop reads \"i in range(num_hidden_layers)\"");
    PIPPIN_TRY(Expression over, Expression::parse(one.substr(in + 4), place(inside)));
    return Loop{one.substr(0, in), std::move(over)};
  }

  Result<Include> include(const Json& table, const std::string& inside) const {
    Include result;
    PIPPIN_TRY(result.spec, text(table["include"], inside + ".include"));
    if (table.contains("config")) {
      PIPPIN_TRY(result.config, text(table["config"], inside + ".config"));
    }
    if (table.contains("with")) {
      if (!table["with"].is_object()) return bad(inside + ".with", "this must be a table");
      for (const auto& [key, value] : table["with"].items()) {
        PIPPIN_TRY(Expression one, expression(value, inside + ".with." + key));
        result.with.emplace_back(key, std::move(one));
      }
    }
    return result;
  }

  Status weight_rule(const Json& table, const std::string& inside) {
    WeightRule rule;
    rule.where = place(inside);
    for (const auto& [key, value] : table.items()) {
      const auto* verb = find_weight_verb(key);
      if (verb == nullptr) continue;
      if (rule.verb != nullptr)
        return bad(inside, fmt::format("one verb a rule, not both {} and {}", rule.verb->name, key));
      rule.verb = verb;
    }
    if (rule.verb == nullptr) return bad(inside, "a rule needs a verb (drop, rename, stack, ...)");
    for (const auto& [key, value] : table.items()) {
      PIPPIN_CHECK(weight_argument(rule, key, value, table, fmt::format("{}.{}", inside, key)));
    }
    for (const auto key : rule.verb->needs) {
      if (!table.contains(std::string(key))) return bad(inside, fmt::format("{} needs {}", rule.verb->name, key));
    }
    spec_.weights.push_back(std::move(rule));
    return {};
  }

  Status weight_argument(WeightRule& rule, const std::string& key, const Json& value, const Json& table,
                         const std::string& inside) const {
    if (key == "when") {
      PIPPIN_TRY(rule.when, expression(value, inside));
    } else if (key == "if") {
      PIPPIN_TRY(rule.only_if, expression(value, inside));
    } else if (key == "each_load") {
      if (!value.is_boolean()) return bad(inside, "true or false");
      rule.each_load = value.get<bool>();
    } else if (key == rule.verb->name) {
      if (rule.verb->name == "include") {
        PIPPIN_TRY(rule.include, include(table, inside));
      } else if (rule.verb->takes_pattern) {
        PIPPIN_TRY(rule.patterns, patterns(value, inside));
      } else {
        PIPPIN_TRY(rule.arguments[key], argument(value, inside));
      }
    } else if (key == "to") {
      PIPPIN_TRY(std::vector<std::string> all, texts(value, inside));
      for (const auto& one : all) {
        PIPPIN_TRY(NameTemplate name, NameTemplate::parse(one, place(inside)));
        rule.to.push_back(std::move(name));
      }
    } else if (!(rule.verb->name == "include" && (key == "config" || key == "with"))) {
      if (!rule.verb->allows(key)) return bad(inside, fmt::format("{} does not take {}", rule.verb->name, key));
      PIPPIN_TRY(rule.arguments[key], argument(value, inside));
    }
    return {};
  }

  Result<Argument> argument(const Json& value, const std::string& inside) const {
    Argument result;
    if (value.is_string()) result.text = value.get<std::string>();
    if (!value.is_array()) {
      // A template such as "{x}.scale" is no expression; verbs that want one parse the text themselves.
      if (value.is_string() && result.text.find('{') != std::string::npos) return result;
      auto one = expression(value, inside);
      if (one)
        result.items.push_back(std::move(*one));
      else if (!value.is_string())
        return tl::unexpected<Error>(std::move(one).error());
      return result;
    }
    result.is_list = true;
    for (const auto& item : value) {
      PIPPIN_TRY(Expression one, expression(item, inside));
      result.items.push_back(std::move(one));
    }
    return result;
  }

  Status quantize_rule(const Json& table, const std::string& inside) {
    QuantizeRule rule;
    rule.format = Json::object();
    for (const auto& [key, value] : table.items()) {
      const std::string here = fmt::format("{}.{}", inside, key);
      if (key == "modules") {
        PIPPIN_TRY(rule.modules, patterns(value, here));
      } else if (key == "if") {
        PIPPIN_TRY(rule.only_if, expression(value, here));
      } else if (key == "keep") {
        PIPPIN_TRY(rule.keep, flag(value, here));
      } else if (key == "bits" || key == "group_size" || key == "fallback_group_size") {
        if (!value.is_number_integer()) return bad(here, "this must be an integer");
        if (key == "fallback_group_size")
          rule.fallback_group_size = value.get<int>();
        else
          rule.format[key] = value;
      } else if (key == "mode") {
        rule.format[key] = value;
      } else if (key == "include") {
        PIPPIN_TRY(rule.include, include(table, inside));
      } else if (key == "at") {
        PIPPIN_TRY(rule.at, text(value, here));
      } else if (key != "config" && key != "with") {
        return bad(here, "unknown key");
      }
    }
    if (rule.modules.empty() && !rule.include) return bad(inside, "a quantize rule needs modules");
    spec_.quantize.push_back(std::move(rule));
    return {};
  }

  Status config_files(const Json& table) {
    if (!table.is_object()) return bad("config_files", "this must be a table of keys and files");
    for (const auto& [key, file] : table.items()) {
      const std::string path = file.is_string() ? file.get<std::string>() : "";
      if (path.empty() || path.front() == '/' || path.find("..") != std::string::npos)
        return bad("config_files." + key, "this must be a file's path inside the checkpoint's folder");
      spec_.config_files.emplace_back(key, path);
    }
    return {};
  }

  Status packed_rule(const Json& table, const std::string& inside) {
    PackedRule rule;
    for (const auto& [key, value] : table.items()) {
      const std::string here = fmt::format("{}.{}", inside, key);
      if (key == "modules") {
        PIPPIN_TRY(rule.modules, patterns(value, here));
      } else if (key == "bits" || key == "group_size" || key == "mode") {
        rule.format[key] = value;
      } else {
        return bad(here, "unknown key");
      }
    }
    if (rule.modules.empty() || !rule.format.contains("mode"))
      return bad(inside, "a packed rule needs modules and mode");
    spec_.packed.push_back(std::move(rule));
    return {};
  }

  Status config_edit(const Json& table, const std::string& inside) {
    ConfigEdit edit;
    for (const auto& [key, value] : table.items()) {
      const std::string here = fmt::format("{}.{}", inside, key);
      if (key == "set" || key == "remove" || key == "default") {
        PIPPIN_TRY(edit.path, text(value, here));
        edit.remove = key == "remove";
        edit.only_if_absent = key == "default";
      } else if (key == "to") {
        PIPPIN_TRY(edit.value, expression(value, here));
      } else if (key == "if") {
        PIPPIN_TRY(edit.condition, expression(value, here));
      } else {
        return bad(here, "unknown key");
      }
    }
    if (edit.path.empty()) return bad(inside, "an edit needs set, default or remove");
    if (!edit.remove && !edit.value) return bad(inside, "an edit needs to");
    spec_.config_edits.push_back(std::move(edit));
    return {};
  }

  Spec spec_;
};

}  // namespace

Result<Spec> compile_spec(const std::string& name, const Json& document) {
  return Compiler(name).compile(document);
}

}  // namespace pippin

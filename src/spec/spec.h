// An architecture spec: how a model's published tensors become the MLX model's. Data only; architectures/README.md is
// the manual of the language.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pippin/error.h"
#include "spec/expression.h"
#include "spec/name_pattern.h"

namespace pippin {

// A field of config.json that the spec uses.
struct SpecField {
  std::string name;
  bool required = false;
  bool flag = false;                   // null is false
  Value fallback;                      // where the field is absent
  std::optional<Expression> computed;  // where it is absent or null
};

struct Loop {
  std::string variable;
  Expression over;
};

// Another spec's modules or rules, at a prefix and with a part of the config.
struct Include {
  std::string spec;    // "gemma3_text", "mlx_lm/gemma3_text"
  std::string config;  // path in the including spec's config, dots between keys; empty: the same
  std::vector<std::pair<std::string, Expression>> with;  // fields set for it, in the including spec's terms
};

struct ModuleEntry {
  NameTemplate name;
  Expression value;  // a module constructor, or none
};

// Modules of the MLX model; in the order of the file.
struct ModuleGroup {
  std::string name;
  std::string after;  // the group that it stands behind in the model; empty: where the file has it
  std::vector<Loop> loops;
  std::optional<Expression> condition;
  NameTemplate at;
  std::optional<Include> include;
  std::vector<ModuleEntry> entries;
};

// An argument of a weight rule: a word, a number or a list of them; all of it may be read as expressions.
struct Argument {
  std::string text;               // as written, if a string
  std::vector<Expression> items;  // one, or the list's
  bool is_list = false;
};

struct WeightVerb;  // src/spec/weight_verbs.h

// One step of the way from published tensors to MLX's. Steps apply in turn to all tensors.
struct WeightRule {
  const WeightVerb* verb = nullptr;
  std::vector<NamePattern> patterns;
  std::vector<NameTemplate> to;
  std::map<std::string, Argument, std::less<>> arguments;
  std::optional<Expression> when;     // asked once, of all tensors
  std::optional<Expression> only_if;  // asked of each match
  std::optional<Include> include;     // the verb "include": that spec's rules
  bool each_load = false;             // the reference changes its own models' values too, each time it loads them
  std::string where;
};

struct QuantizeRule {
  std::vector<NamePattern> modules;
  std::optional<Expression> only_if;
  bool keep = false;              // never quantized
  nlohmann::ordered_json format;  // what the config's entry says: bits, group_size, mode as far as given
  std::optional<int> fallback_group_size;
  std::optional<Include> include;  // rules of another spec, below `at`
  std::string at;
};

// How modules are packed of which config.json does not say it, but the model's own code does.
struct PackedRule {
  std::vector<NamePattern> modules;
  nlohmann::ordered_json format;  // bits, group_size, mode
};

// A change of config.json that the reference makes.
struct ConfigEdit {
  std::string path;  // dots between keys
  bool remove = false;
  std::optional<Expression> value;
  std::optional<Expression> condition;
  bool only_if_absent = false;
};

// How the model runs: named steps, each an expression over earlier values; src/spec/decoder_program.h makes a program
// of them.
struct SpecDecoder {
  // Stands for an operation of its name everywhere but in its own expression.
  struct Function {
    std::vector<std::string> parameters;
    Expression value;
  };
  using Functions = std::map<std::string, Function, std::less<>>;
  using Steps = std::vector<std::pair<std::string, Expression>>;
  Expression layers;                      // their number
  NameTemplate at;                        // where layer i's modules lie
  Steps start;                            // from `ids` to `x`
  Steps layer;                            // from `x` and `i` to `next_x`
  Steps finish;                           // from `x` to `logits`
  Functions functions;                    // by name
  std::vector<std::string> carried{"x"};  // values that go from layer to layer
  std::optional<Include> include;         // another spec's decoder instead, with its modules below `under`
  std::string under;
};

struct Spec {
  std::string name;                        // "mlx_lm/qwen3_moe"
  std::vector<std::string> model_types;    // config.json's model_type values, the main one first
  std::vector<std::string> architectures;  // if given: only where config's "architectures" has one of them
  std::string title;                       // for the documentation's table
  std::string notes;
  std::string refuse;            // why this model cannot be converted; empty where it can
  std::string config;            // part of config.json that the fields are read from
  bool config_optional = false;  // fall back to the whole where that part is absent
  bool merge_config = false;     // fields of that part override the whole's
  std::vector<SpecField> fields;
  std::vector<std::pair<std::string, Expression>> lets;
  std::vector<ModuleGroup> modules;
  std::vector<WeightRule> weights;
  std::vector<QuantizeRule> quantize;
  std::vector<PackedRule> packed;
  std::vector<NamePattern> keep_dtype;  // never cast
  std::vector<NamePattern> uncounted;   // parameters missing from total_parameters
  std::vector<ConfigEdit> config_edits;
  bool keep_vision_config = false;  // mlx-lm drops vision_config from config.json but for these
  std::vector<std::pair<std::string, std::string>> config_files;  // key of config.json, and the file that may hold it
  std::optional<Expression> recipe_layers;  // layers counted by the recipes; absent: num_hidden_layers
  std::string no_recipe;                    // why recipes cannot be used; empty where they can
  std::optional<SpecDecoder> decoder;
};

// Compiles a document (a spec file's content with its `extends` already merged). Unknown keys are errors.
Result<Spec> compile_spec(const std::string& name, const nlohmann::ordered_json& document);

}  // namespace pippin

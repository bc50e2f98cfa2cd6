// The verbs of weight rules, one table row a verb: what it takes and what it does to the tensors.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/spec.h"
#include "spec/spec_scope.h"
#include "spec/tensor_map.h"

namespace pippin {

// What a verb works on: the tensors below a prefix, names without it.
struct RuleContext {
  const WeightRule& rule;
  const SpecScope& scope;
  TensorMap& tensors;
  std::vector<std::string>* warnings = nullptr;  // takes what "warn" says; may be null
  bool stop = false;                             // set by "stop": leave out the spec's remaining rules
};

struct WeightVerb {
  std::string_view name;
  std::string_view meaning;                 // one line for the manual
  std::span<const std::string_view> needs;  // keys that must be given
  std::span<const std::string_view> takes;  // keys that may be given
  bool takes_pattern;                       // the verb's value is a pattern over tensor names
  Status (*apply)(RuleContext& context);

  [[nodiscard]] bool allows(std::string_view key) const;
};

std::span<const WeightVerb> weight_verbs();
const WeightVerb* find_weight_verb(std::string_view name);

// Applies all weight rules of the scope's spec, or those for each load alone, in order, to `tensors`; sets the scope to
// look at them. What rules warn of is added to `warnings`, where it is given.
Status apply_weight_rules(SpecScope& scope, TensorMap& tensors, bool each_load_alone = false,
                          std::vector<std::string>* warnings = nullptr);

}  // namespace pippin

// What verifying a conversion found, as text for people and as JSON for machines.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "pippin/behaviour.h"
#include "pippin/verify.h"

namespace pippin::cli {

// What became of the third part: its report, or why there is none.
struct BehaviourOutcome {
  std::optional<BehaviourReport> report;
  std::string skipped;
  [[nodiscard]] bool passed() const { return !report || report->passed(); }
};

// A table, by format or (all) by tensor, and the verdict on the tensors.
std::string tensors_text(const VerifyReport& report, bool all);
// What running both models found, or why they did not run.
std::string behaviour_text(const BehaviourOutcome& behaviour, bool all);
// All of it.
nlohmann::ordered_json verify_json(const VerifyReport& report, const BehaviourOutcome& behaviour);

}  // namespace pippin::cli

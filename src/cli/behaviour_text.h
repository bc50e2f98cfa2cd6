// What comparing two models' behaviour found, as text for people and as JSON for machines.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "pippin/behaviour.h"

namespace pippin::cli {

std::string behaviour_text(const BehaviourReport& report, bool all);
nlohmann::ordered_json behaviour_json(const BehaviourReport& report);

}  // namespace pippin::cli

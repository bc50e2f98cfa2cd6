// A conversion's report as text for people and as JSON for machines.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "pippin/convert.h"

namespace pippin::cli {

// The plan of a dry run: what goes where by which rule, layers folded together.
std::string plan_text(const ConvertReport& report);
// What was done.
std::string done_text(const ConvertReport& report);
// All of it.
nlohmann::ordered_json report_json(const ConvertReport& report, bool done);

}  // namespace pippin::cli

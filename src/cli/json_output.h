// JSON as the commands print it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace pippin::cli {

// indent: -1 for one line. Bytes that are no UTF-8, as in names of files, are replaced.
inline std::string json_text(const nlohmann::ordered_json& json, int indent = 2) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace pippin::cli

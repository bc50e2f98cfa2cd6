// What the Hub says in JSON. All of it is untrusted: nothing here throws, and what is missing or of another type is
// null or empty.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

// The error for an answer that is not what the protocol says (network).
tl::unexpected<Error> unusable_answer(std::string value);

// An answer that is no JSON is a fault of the server, not of a file. where: what it is, for messages.
Result<nlohmann::ordered_json> parsed_answer(std::string_view text, std::string_view where);

// A member of an object, or null.
const nlohmann::ordered_json& member(const nlohmann::ordered_json& object, const char* name);

// A string, or empty.
std::string text_of(const nlohmann::ordered_json& json);

}  // namespace pippin

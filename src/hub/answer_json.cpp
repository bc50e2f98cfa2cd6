#include "hub/answer_json.h"

#include "source/json_text.h"

namespace pippin {

using Json = nlohmann::ordered_json;

tl::unexpected<Error> unusable_answer(std::string value) {
  return fail(ErrorTag::network, "the Hub's answer has the form that is documented", std::move(value),
              "check HF_ENDPOINT: is this a Hub?");
}

Result<Json> parsed_answer(std::string_view text, std::string_view where) {
  auto json = parse_json(text, where);
  if (!json) return unusable_answer(json.error().value);
  return json;
}

const Json& member(const Json& object, const char* name) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

std::string text_of(const Json& json) {
  return json.is_string() ? json.get<std::string>() : std::string();
}

}  // namespace pippin

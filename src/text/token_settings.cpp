#include "text/token_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <system_error>

#include "source/json_text.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto& standard_names = TokenSettings::standard_names;

tl::unexpected<Error> wrong_type(std::string_view place, std::string_view wanted) {
  return fail(ErrorTag::bad_file, "a tokenizer's settings have the types that transformers writes",
              std::string(place) + " is not " + std::string(wanted), "download the file again");
}

Result<Json> read_object(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json::object();
  PIPPIN_TRY(Json json, read_json(path));
  if (!json.is_object()) return wrong_type(path.filename().string(), "an object");
  return json;
}

bool flag_of(const Json& token, const char* name, bool otherwise) {
  const auto found = token.find(name);
  return found != token.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// A token is a text, or an object with "content" and flags.
Result<Json> added_token(const Json& token, std::string_view place, bool special, bool if_absent) {
  const bool is_object = token.is_object() && token.contains("content") && token["content"].is_string();
  if (!token.is_string() && !is_object) return wrong_type(place, "a token");
  const Json flags = is_object ? token : Json::object();
  special = flag_of(flags, "special", special);
  return Json{{"content", is_object ? token["content"] : token},
              {"single_word", flag_of(flags, "single_word", false)},
              {"lstrip", flag_of(flags, "lstrip", false)},
              {"rstrip", flag_of(flags, "rstrip", false)},
              {"normalized", flag_of(flags, "normalized", !special)},
              {"special", special},
              {"if_absent", if_absent}};
}

Result<std::int32_t> id_of_key(const std::string& key) {
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0)
    return wrong_type("tokenizer_config.json: added_tokens_decoder: " + in_quotes(key), "an id");
  return id;
}

bool is_named(const std::vector<std::pair<std::string, std::string>>& named, const Json& content) {
  return std::any_of(named.begin(), named.end(), [&](const auto& pair) { return pair.second == content; });
}

Status add_numbered(const Json& decoder, TokenSettings& settings) {
  if (!decoder.is_object()) return wrong_type("tokenizer_config.json: added_tokens_decoder", "an object");
  std::map<std::int32_t, Json> sorted;
  for (const auto& [key, token] : decoder.items()) {
    PIPPIN_TRY(const std::int32_t id, id_of_key(key));
    PIPPIN_TRY(Json form, added_token(token, "tokenizer_config.json: added_tokens_decoder: " + key, false, false));
    if (is_named(settings.named, form["content"])) form["special"] = true;
    form["numbered"] = true;
    settings.numbered.push_back({id, form["content"]});
    sorted.emplace(id, std::move(form));
  }
  for (auto& [id, token] : sorted) settings.added.push_back(std::move(token));
  return {};
}

// The older form: added_tokens.json gives an id for each token.
Status add_legacy(const Json& ids, TokenSettings& settings) {
  std::map<std::int64_t, std::string> sorted;
  for (const auto& [token, id] : ids.items()) {
    if (!id.is_number_integer()) return wrong_type("added_tokens.json: " + in_quotes(token), "an id");
    sorted.emplace(id.get<std::int64_t>(), token);
    settings.numbered.push_back({id, token});
  }
  for (const auto& [id, token] : sorted) {
    const bool special = is_named(settings.named, token);
    PIPPIN_TRY(Json form, added_token(token, "added_tokens.json", special, true));
    form["numbered"] = true;
    settings.added.push_back(std::move(form));
  }
  return {};
}

bool is_standard(std::string_view name) {
  return std::find(standard_names.begin(), standard_names.end(), name) != standard_names.end();
}

bool is_token(const Json& value) {
  return value.is_string() || (value.is_object() && value.contains("content") && value["content"].is_string());
}

// bos_token and so on, then names of the model's own: "image_token", or a dictionary extra_special_tokens.
Status collect_named(TokenSettings& settings, std::vector<Json>& tokens) {
  const auto take = [&](const std::string& name, const Json& token) -> Status {
    PIPPIN_TRY(Json form, added_token(token, "tokenizer_config.json: " + name, true, true));
    settings.named.emplace_back(name, form["content"].get<std::string>());
    tokens.push_back(std::move(form));
    return {};
  };
  const Json& config = settings.config;
  for (const char* name : standard_names)
    if (config.contains(name) && !config[name].is_null()) PIPPIN_CHECK(take(name, config[name]));
  for (const auto& [name, value] : config.items())
    if (!is_standard(name) && name.ends_with("_token") && is_token(value)) PIPPIN_CHECK(take(name, value));
  if (config.contains("extra_special_tokens") && config["extra_special_tokens"].is_object())
    for (const auto& [name, value] : config["extra_special_tokens"].items()) PIPPIN_CHECK(take(name, value));
  return {};
}

Status collect_extra(const Json& config, std::vector<Json>& tokens) {
  const bool has_extra = config.contains("extra_special_tokens") && !config["extra_special_tokens"].empty();
  const char* name = has_extra ? "extra_special_tokens" : "additional_special_tokens";
  if (!config.contains(name) || !config[name].is_array()) return {};
  for (const Json& token : config[name]) {
    PIPPIN_TRY(Json form, added_token(token, std::string("tokenizer_config.json: ") + name, true, true));
    form["listed"] = true;
    tokens.push_back(std::move(form));
  }
  return {};
}

Status read_eos_ids(const Json& json, std::vector<std::int32_t>& ids) {
  if (!json.contains("eos_token_id")) return {};
  const Json& found = json["eos_token_id"];
  const Json list = found.is_array() ? found : found.is_null() ? Json::array() : Json::array({found});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<std::int32_t>::max())
      return wrong_type("eos_token_id", "an id or a list of ids");
    ids.push_back(id.get<std::int32_t>());
  }
  return {};
}

bool lists(const Json& config, const char* name) {
  return config.contains(name) && !config[name].is_object();
}

Status merge_map(const std::filesystem::path& folder, TokenSettings& settings) {
  PIPPIN_TRY(const Json map, read_object(folder / "special_tokens_map.json"));
  for (const auto& [name, value] : map.items()) settings.config[name] = value;
  settings.lists_extra = settings.lists_extra || lists(map, "extra_special_tokens");
  return {};
}

}  // namespace

std::optional<std::string_view> TokenSettings::named_token(std::string_view name) const {
  for (const auto& [known, content] : named)
    if (known == name) return content;
  return std::nullopt;
}

std::ptrdiff_t TokenSettings::count_numbered() const {
  return std::count_if(added.begin(), added.end(), [](const Json& token) { return token.contains("numbered"); });
}

Json token_if_absent(const Json& content, const Json& special) {
  return Json{{"content", content},  {"single_word", false}, {"lstrip", false},  {"rstrip", false},
              {"normalized", false}, {"special", special},   {"if_absent", true}};
}

Result<TokenSettings> read_token_settings(const std::filesystem::path& folder) {
  TokenSettings settings;
  PIPPIN_TRY(settings.config, read_object(folder / "tokenizer_config.json"));
  const bool numbered = settings.config.contains("added_tokens_decoder");
  settings.lists_extra =
      lists(settings.config, "extra_special_tokens") || lists(settings.config, "additional_special_tokens");
  if (!numbered) PIPPIN_CHECK(merge_map(folder, settings));
  std::vector<Json> tokens;
  PIPPIN_CHECK(collect_named(settings, tokens));
  PIPPIN_CHECK(collect_extra(settings.config, tokens));
  if (numbered) {
    PIPPIN_CHECK(add_numbered(settings.config["added_tokens_decoder"], settings));
  } else {
    PIPPIN_TRY(const Json legacy, read_object(folder / "added_tokens.json"));
    PIPPIN_CHECK(add_legacy(legacy, settings));
    for (Json& token : tokens) token["makes_special"] = is_named(settings.named, token["content"]);
  }
  for (Json& token : tokens) settings.added.push_back(std::move(token));
  settings.clean_up_spaces = flag_of(settings.config, "clean_up_tokenization_spaces", false);
  PIPPIN_TRY(const Json generation, read_object(folder / "generation_config.json"));
  PIPPIN_CHECK(read_eos_ids(generation, settings.eos_ids));
  if (settings.eos_ids.empty()) {
    PIPPIN_TRY(const Json config, read_object(folder / "config.json"));
    PIPPIN_CHECK(read_eos_ids(config, settings.eos_ids));
  }
  return settings;
}

}  // namespace pippin

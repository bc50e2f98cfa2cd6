#include "text/piece_file.h"

#include <algorithm>
#include <system_error>

#include "text/engine_call.h"
#include "text/text_file.h"
#include "text/tokenizer_class.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// Gemma's, one of the largest, has 4 MB.
constexpr std::uintmax_t largest_model = std::uintmax_t{16} << 20;

bool flag_of(const Json& config, const char* name, bool otherwise) {
  if (!config.contains(name) || !(config[name].is_boolean() || config[name].is_null())) return otherwise;
  return config[name].is_boolean() && config[name].get<bool>();
}

// Places stand in the order in which new tokens get their ids.
Json default_tokens(TokenizerClass known, const Json& described) {
  switch (known) {
    case TokenizerClass::llama:
      return {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
    case TokenizerClass::gemma:
      return {{"bos_token", "<bos>"},
              {"eos_token", "<eos>"},
              {"unk_token", "<unk>"},
              {"pad_token", "<pad>"},
              {"mask_token", "<mask>"}};
    default:
      return {{"bos_token", described["bos_token"]},
              {"eos_token", described["eos_token"]},
              {"unk_token", described["unk_token"]}};
  }
}

// Named tokens stand behind the numbered ones, in the order of TokenSettings::standard_names.
void add_default_tokens(const Json& defaults, TokenSettings& settings) {
  const auto rank = [](const std::string& name) {
    const auto& names = TokenSettings::standard_names;
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  const auto numbered = settings.count_numbered();
  for (const auto& [name, content] : defaults.items()) {
    if (content.is_null() || settings.config.contains(name)) continue;
    const auto place = std::find_if(settings.named.begin(), settings.named.end(),
                                    [&, wanted = rank(name)](const auto& old) { return rank(old.first) > wanted; });
    const auto index = numbered + (place - settings.named.begin());
    settings.added.insert(settings.added.begin() + index, token_if_absent(content, true));
    settings.named.emplace(place, name, content.get<std::string>());
  }
}

// The model's control pieces and user-defined ones, unless tokenizer_config.json has a list of its own.
void add_pieces(const Json& pieces, TokenSettings& settings) {
  if (settings.lists_extra) return;
  auto& added = settings.added.get_ref<Json::array_t&>();
  added.erase(std::remove_if(added.begin(), added.end(), [](const Json& token) { return token.contains("listed"); }),
              added.end());
  for (const Json& piece : pieces) added.push_back(token_if_absent(piece["content"], piece["special"]));
}

Json form_of(TokenizerClass known, const TokenSettings& settings) {
  const auto named = [&](const char* flag, const char* name) -> Json {
    const auto token = settings.named_token(name);
    return token && flag_of(settings.config, flag, false) ? Json(std::string(*token)) : Json(nullptr);
  };
  Json form{{"before", named("add_bos_token", "bos_token")},
            {"behind", named("add_eos_token", "eos_token")},
            {"renamed", settings.numbered}};
  if (known == TokenizerClass::generic) form["class"] = "generic";
  if (known == TokenizerClass::gemma) {
    form["class"] = "gemma";
    form["unk_token"] = std::string(settings.named_token("unk_token").value_or("None"));
  }
  if (known == TokenizerClass::llama) {
    const bool is_null = settings.config.contains("add_prefix_space") && settings.config["add_prefix_space"].is_null();
    const bool prefixes = is_null || flag_of(settings.config, "add_prefix_space", true);
    form["class"] = "llama";
    form["prepend_scheme"] = !prefixes ? "never" : flag_of(settings.config, "legacy", false) ? "always" : "first";
  }
  return form;
}

}  // namespace

bool has_piece_file(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name, ignored); };
  return has("tokenizer.model") && !has("tokenizer.json") && !has("tekken.json");
}

Result<PieceFile> read_piece_file(const std::filesystem::path& folder, TokenSettings& settings) {
  PIPPIN_TRY(const TokenizerClass known, tokenizer_class_of(folder, settings.config));
  PieceFile file;
  PIPPIN_TRY(file.model, read_text_file(folder / "tokenizer.model", largest_model));
  PIPPIN_TRY(const std::string description,
             bytes_from("tokenizer.model", [&](PippinTextBytes* out, PippinTextBytes* message) {
               return pippin_pieces_describe(bytes_of(file.model), file.model.size(), out, message);
             }));
  const Json described = Json::parse(description);
  add_pieces(described["added"], settings);
  add_default_tokens(default_tokens(known, described), settings);
  file.form = form_of(known, settings).dump(-1, ' ', false, Json::error_handler_t::replace);
  return file;
}

}  // namespace pippin

// What stands beside tokenizer.json: special tokens, added tokens, and which tokens end a text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

struct TokenSettings {
  static constexpr std::array standard_names = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                "pad_token", "cls_token", "mask_token"};

  // Name and content, in the order that chat templates get them: bos_token, eos_token, then the others.
  std::vector<std::pair<std::string, std::string>> named;
  // Tokens to add to tokenizer.json's own, in tokenizer.json's form. "if_absent": leave a token alone that is there;
  // "makes_special": but mark it as special. "numbered": it has an id in the settings; those come first, then the named
  // ones, then the "listed" ones.
  nlohmann::ordered_json added = nlohmann::ordered_json::array();
  // Pairs of id and content of the numbered ones, in the order of the file.
  nlohmann::ordered_json numbered = nlohmann::ordered_json::array();
  // Whether tokenizer_config.json lists extra special tokens, if only an empty list.
  bool lists_extra = false;
  // Ids from generation_config.json, or else config.json.
  std::vector<std::int32_t> eos_ids;
  // Only where the model is no BPE, as transformers 5 has it.
  bool clean_up_spaces = false;
  // tokenizer_config.json, or an empty object.
  nlohmann::ordered_json config = nlohmann::ordered_json::object();

  // How many of the tokens to add are numbered.
  [[nodiscard]] std::ptrdiff_t count_numbered() const;
  // The content of bos_token and so on.
  [[nodiscard]] std::optional<std::string_view> named_token(std::string_view name) const;
};

// A token to add where it is not there yet, in tokenizer.json's form.
nlohmann::ordered_json token_if_absent(const nlohmann::ordered_json& content, const nlohmann::ordered_json& special);

// Reads tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json and config.json of a
// folder; each may be absent. A field of the wrong type is an Error. Source: transformers 5.23, mlx_lm 0.32.
Result<TokenSettings> read_token_settings(const std::filesystem::path& folder);

}  // namespace pippin

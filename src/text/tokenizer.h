// Text to token ids and back, as transformers' AutoTokenizer does it from the same folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pippin/error.h"

struct PippinTokenizer;

namespace pippin {

// Immutable after opening; every const function may run in several threads at once. Cheap to copy: copies share.
class Tokenizer {
 public:
  // Reads tokenizer.json, or else tokenizer.model (SentencePiece) of Llama or Gemma and the like, or else vocab.json
  // and merges.txt of GPT-2 or Qwen 2, and the settings beside it: tokenizer_config.json, special_tokens_map.json,
  // added_tokens.json, generation_config.json, config.json. Truncation and padding that tokenizer.json asks for are
  // off. Errors: not_found without a tokenizer, unsupported for one in another form (tekken.json), bad_file for one
  // that cannot be used, whatever is wrong with it.
  static Result<Tokenizer> open(const std::filesystem::path& folder);

  // add_special_tokens: with what the tokenizer puts around a text, <s> for example. Special tokens inside the text are
  // recognised either way. Text that is not UTF-8 is an Error (usage).
  [[nodiscard]] Result<std::vector<std::int32_t>> encode(std::string_view text, bool add_special_tokens = true) const;

  // Always valid UTF-8: bytes that are no text become U+FFFD. Ids without a token are left out; negative ones are an
  // Error.
  [[nodiscard]] Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special_tokens = false) const;

  // A token as it stands in the vocabulary ("Ġthe", "▁the"), added tokens included.
  [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
  [[nodiscard]] std::optional<std::string> token_of(std::int32_t id) const;

  // Where generation ends: generation_config.json's ids, or else config.json's, and the tokenizer's own.
  [[nodiscard]] const std::vector<std::int32_t>& eos_ids() const;

  // Name and content: bos_token, eos_token, pad_token and so on, as far as the settings have them.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& special_tokens() const;

  // Whether the vocabulary has a pair of tokens around thoughts, like <think> and </think>. mlx_lm then renders chats
  // with enable_thinking true.
  [[nodiscard]] bool has_thinking() const;

  // How many tokens there are, added ones included. The model's embedding may have more rows.
  [[nodiscard]] std::size_t vocabulary_size() const;

 private:
  friend class StreamingDetokenizer;
  struct Content;
  explicit Tokenizer(std::shared_ptr<const Content> content) : content_(std::move(content)) {}
  [[nodiscard]] const PippinTokenizer* engine() const;
  [[nodiscard]] bool cleans_up_spaces() const;

  std::shared_ptr<const Content> content_;
};

}  // namespace pippin

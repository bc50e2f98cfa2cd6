#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>

#include "source/quoted_text.h"
#include "text/engine_call.h"
#include "text/piece_file.h"
#include "text/space_cleanup.h"
#include "text/text_file.h"
#include "text/token_settings.h"
#include "text/vocabulary_files.h"

namespace pippin {

struct Tokenizer::Content {
  struct Close {
    void operator()(const PippinTokenizer* opened) const { pippin_tokenizer_close(opened); }
  };
  std::unique_ptr<const PippinTokenizer, Close> engine;
  std::vector<std::pair<std::string, std::string>> special_tokens;
  std::vector<std::int32_t> eos_ids;
  bool clean_up_spaces = false;
};

namespace {

constexpr std::uintmax_t largest_tokenizer = std::uintmax_t{1} << 30;

Error missing(const std::filesystem::path& folder) {
  const std::string place = printable(folder.string());
  std::error_code ignored;
  for (const char* other : {"tekken.json", "tiktoken.model", "vocab.txt", "vocab.json"})
    if (std::filesystem::exists(folder / other, ignored))
      return {ErrorTag::unsupported,
              "a tokenizer is in the form tokenizer.json or tokenizer.model",
              place + " has " + other,
              "save the tokenizer with transformers (AutoTokenizer.from_pretrained, then save_pretrained) and use the "
              "tokenizer.json that it writes",
              {}};
  return {ErrorTag::not_found,
          "a model's folder has a tokenizer",
          place + " has no tokenizer.json",
          "download the missing file",
          {}};
}

Result<const PippinTokenizer*> opened(PippinTextStatus status, const PippinTokenizer* engine, PippinTextBytes message,
                                      const std::filesystem::path& folder) {
  if (status == pippin_text_fine) return engine;
  Error error = error_of(status, message, printable(folder.string()));
  error.tag = ErrorTag::bad_file;
  return tl::unexpected<Error>(std::move(error));
}

std::string added_of(const TokenSettings& settings) {
  return settings.added.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<const PippinTokenizer*> open_json(const std::string& json, const std::filesystem::path& folder,
                                         const TokenSettings& settings) {
  const std::string added = added_of(settings);
  const PippinTokenizer* engine = nullptr;
  PippinTextBytes message{};
  const PippinTextStatus status =
      pippin_tokenizer_open(bytes_of(json), json.size(), bytes_of(added), added.size(), &engine, &message);
  return opened(status, engine, message, folder);
}

Result<const PippinTokenizer*> open_pieces(const std::filesystem::path& folder, TokenSettings& settings) {
  PIPPIN_TRY(const PieceFile file, read_piece_file(folder, settings));
  const std::string added = added_of(settings);
  const PippinTokenizer* engine = nullptr;
  PippinTextBytes message{};
  const PippinTextStatus status =
      pippin_tokenizer_open_pieces(bytes_of(file.model), file.model.size(), bytes_of(file.form), file.form.size(),
                                   bytes_of(added), added.size(), &engine, &message);
  return opened(status, engine, message, folder);
}

// tokenizer.json, or what stands for it.
Result<const PippinTokenizer*> open_files(const std::filesystem::path& folder, TokenSettings& settings) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name, ignored); };
  if (has("tokenizer.json")) {
    PIPPIN_TRY(const std::string json, read_text_file(folder / "tokenizer.json", largest_tokenizer));
    return open_json(json, folder, settings);
  }
  const bool has_lists = has("vocab.json") && has("merges.txt");
  if (has_piece_file(folder)) {
    auto engine = open_pieces(folder, settings);
    if (engine || engine.error().tag != ErrorTag::unsupported || !has_lists) return engine;
  }
  if (has_lists) {
    PIPPIN_TRY(const std::string json, tokenizer_from_vocabulary(folder, settings));
    return open_json(json, folder, settings);
  }
  return tl::unexpected<Error>(missing(folder));
}

}  // namespace

Result<Tokenizer> Tokenizer::open(const std::filesystem::path& folder) {
  PIPPIN_TRY(TokenSettings settings, read_token_settings(folder));
  PIPPIN_TRY(const PippinTokenizer* engine, open_files(folder, settings));
  auto content = std::make_shared<Content>();
  content->engine.reset(engine);
  content->eos_ids = settings.eos_ids;
  content->clean_up_spaces = settings.clean_up_spaces && !pippin_tokenizer_is_bpe(engine);
  const auto eos = settings.named_token("eos_token");
  Tokenizer tokenizer(content);
  if (const auto id = eos ? tokenizer.id_of(*eos) : std::nullopt;
      id && std::find(content->eos_ids.begin(), content->eos_ids.end(), *id) == content->eos_ids.end())
    content->eos_ids.push_back(*id);
  content->special_tokens = std::move(settings.named);
  return tokenizer;
}

Result<std::vector<std::int32_t>> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  PIPPIN_TRY(const std::string bytes, bytes_from("text to encode", [&](PippinTextBytes* ids, PippinTextBytes* message) {
               return pippin_tokenizer_encode(engine(), bytes_of(text), text.size(), add_special_tokens, ids, message);
             }));
  std::vector<std::int32_t> ids(bytes.size() / sizeof(std::int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  for (const std::int32_t id : ids)
    if (id < 0) return fail(ErrorTag::usage, "token ids are not negative", std::to_string(id));
  const auto* numbers = reinterpret_cast<const std::uint32_t*>(ids.data());
  PIPPIN_TRY(std::string text, bytes_from("ids to decode", [&](PippinTextBytes* out, PippinTextBytes* message) {
               return pippin_tokenizer_decode(engine(), numbers, ids.size(), skip_special_tokens, out, message);
             }));
  return cleans_up_spaces() ? cleaned_up(std::move(text)) : text;
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  std::uint32_t id = 0;
  if (!pippin_tokenizer_id_of(engine(), bytes_of(token), token.size(), &id)) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

std::optional<std::string> Tokenizer::token_of(std::int32_t id) const {
  PippinTextBytes token{};
  if (id < 0 || !pippin_tokenizer_token_of(engine(), static_cast<std::uint32_t>(id), &token)) return std::nullopt;
  return text_of(token);
}

const std::vector<std::int32_t>& Tokenizer::eos_ids() const {
  return content_->eos_ids;
}

const std::vector<std::pair<std::string, std::string>>& Tokenizer::special_tokens() const {
  return content_->special_tokens;
}

bool Tokenizer::has_thinking() const {
  constexpr std::array pairs = {std::pair{"<think>", "</think>"}, std::pair{"<longcat_think>", "</longcat_think>"},
                                std::pair{"<|think:start|>", "<|think:end|>"}, std::pair{"<|channel>", "<channel|>"}};
  const auto known = [&](const auto& pair) { return id_of(pair.first) && id_of(pair.second); };
  if (std::any_of(pairs.begin(), pairs.end(), known)) return true;
  constexpr std::array marks = {"<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"};
  return std::all_of(marks.begin(), marks.end(), [&](const char* mark) { return id_of(mark).has_value(); });
}

std::size_t Tokenizer::vocabulary_size() const {
  return pippin_tokenizer_size(engine());
}

const PippinTokenizer* Tokenizer::engine() const {
  return content_->engine.get();
}

bool Tokenizer::cleans_up_spaces() const {
  return content_->clean_up_spaces;
}

}  // namespace pippin

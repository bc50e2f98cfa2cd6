#include "text/vocabulary_files.h"

#include <algorithm>
#include <array>
#include <span>

#include "source/json_text.h"
#include "source/quoted_text.h"
#include "text/text_file.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uintmax_t largest_merges = std::uintmax_t{256} << 20;

// Source: the tokenizers of transformers 5.23 for GPT-2 and Qwen 2.
constexpr const char* qwen_2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array gpt_2_tokens = {"bos_token", "eos_token", "unk_token"};
constexpr std::array qwen_2_tokens = {"eos_token", "unk_token", "pad_token"};

struct VocabularyClass {
  std::string_view name;
  const char* pattern;  // how text is cut; null: as GPT-2 does
  bool composes;        // to the normal form NFC
  std::span<const char* const> default_tokens;
};

constexpr std::array classes = {VocabularyClass{"GPT2Tokenizer", nullptr, false, gpt_2_tokens},
                                VocabularyClass{"Qwen2Tokenizer", qwen_2_pattern, true, qwen_2_tokens}};

Result<const VocabularyClass*> class_of(const Json& config) {
  std::string name = config.contains("tokenizer_class") && config["tokenizer_class"].is_string()
                         ? config["tokenizer_class"].get<std::string>()
                         : "no class";
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const auto found =
      std::find_if(classes.begin(), classes.end(), [&](const auto& known) { return known.name == name; });
  if (found == classes.end())
    return fail(ErrorTag::unsupported, "vocab.json and merges.txt belong to GPT2Tokenizer or Qwen2Tokenizer",
                "tokenizer_config.json: tokenizer_class is " + in_quotes(name),
                "save the tokenizer with transformers and use the tokenizer.json that it writes");
  return &*found;
}

Json merges_of(const std::string& text) {
  Json merges = Json::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(std::move(line));
    begin = end + 1;
  }
  return merges;
}

bool flag_of(const Json& config, const char* name) {
  return config.contains(name) && config[name].is_boolean() && config[name].get<bool>();
}

Json pre_tokenizer_of(const VocabularyClass& known, bool add_prefix_space) {
  Json bytes{{"type", "ByteLevel"},
             {"add_prefix_space", add_prefix_space},
             {"trim_offsets", true},
             {"use_regex", known.pattern == nullptr}};
  if (known.pattern == nullptr) return bytes;
  const Json split{
      {"type", "Split"}, {"pattern", {{"Regex", known.pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return Json{{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
}

// Behind the tokens that the settings name and before the further ones: the order decides the ids.
void add_default_tokens(const VocabularyClass& known, TokenSettings& settings) {
  constexpr const char* content = "<|endoftext|>";
  const auto place =
      std::min(static_cast<std::size_t>(settings.count_numbered()) + settings.named.size(), settings.added.size());
  for (const char* name : known.default_tokens) {
    if (settings.named_token(name) || settings.config.contains(name)) continue;
    settings.named.emplace_back(name, content);
    settings.added.insert(settings.added.begin() + static_cast<std::ptrdiff_t>(place), token_if_absent(content, true));
  }
}

}  // namespace

Result<std::string> tokenizer_from_vocabulary(const std::filesystem::path& folder, TokenSettings& settings) {
  PIPPIN_TRY(const VocabularyClass* known, class_of(settings.config));
  PIPPIN_TRY(Json vocabulary, read_json(folder / "vocab.json"));
  PIPPIN_TRY(const std::string merges, read_text_file(folder / "merges.txt", largest_merges));
  add_default_tokens(*known, settings);
  const Json model{{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", ""},
                   {"end_of_word_suffix", ""},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false},
                   {"vocab", std::move(vocabulary)},
                   {"merges", merges_of(merges)}};
  const Json all{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array()},
      {"normalizer", known->composes ? Json{{"type", "NFC"}} : Json(nullptr)},
      {"pre_tokenizer", pre_tokenizer_of(*known, flag_of(settings.config, "add_prefix_space"))},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model", model}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pippin

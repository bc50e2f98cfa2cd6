// tokenizer.model: what transformers makes of the models in tests/text/pieces, and models that are refused.
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "text/chat_template.h"
#include "text/streaming_detokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_folder.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Json = nlohmann::ordered_json;
using Ids = std::vector<std::int32_t>;

std::string read(const std::string& name) {
  std::ifstream file(PIPPIN_SOURCE_DIR "/tests/text/pieces/" + name, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// A field of protobuf that holds bytes.
std::string field(int number, const std::string& content) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(content.size())} + content;
}

std::string number(int field, char value) {
  std::string key{static_cast<char>((field << 3 & 0x7f) | (field > 15 ? 0x80 : 0))};
  if (field > 15) key += static_cast<char>(field >> 4);
  return key + value;
}

std::string piece(const std::string& content, float score = 0, char kind = 1) {
  std::string bytes(sizeof score, '\0');
  std::memcpy(bytes.data(), &score, sizeof score);
  return field(1, field(1, content) + '\x15' + bytes + number(3, kind));
}

std::string joined(StreamingDetokenizer& stream, const Ids& ids) {
  std::string text;
  for (const std::int32_t id : ids) text += *stream.add(id);
  return text + *stream.finish();
}

const std::string letters = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("a") + piece("b") +
                            piece("ab") + piece("▁") + piece("▁a") + piece("<tool>", 0, 4);
const std::string merged = letters + field(2, number(3, 2));  // model_type: BPE

Tokenizer opened(TokenizerFolder& folder, const std::string& model, const std::string& config = "{}") {
  auto tokenizer = Tokenizer::open(folder.with("tokenizer.model", model).with("tokenizer_config.json", config).path());
  EXPECT_TRUE(tokenizer) << tokenizer.error().message();
  return *std::move(tokenizer);
}

Error error_of(const std::string& model, const std::string& config = "{}", const std::string& model_config = "{}") {
  TokenizerFolder folder;
  folder.with("tokenizer.model", model).with("tokenizer_config.json", config).with("config.json", model_config);
  const auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_FALSE(tokenizer) << config << model_config;
  return tokenizer ? Error{} : tokenizer.error();
}

TEST(PieceFile, RecordedTexts) {
  for (const Json& c : Json::parse(read("expected.json"))) {
    TokenizerFolder folder;
    folder.with("config.json", Json{{"model_type", c["model_type"]}}.dump());
    const Tokenizer tokenizer = opened(folder, read(c["model"]), c["config"].dump());
    EXPECT_EQ(tokenizer.vocabulary_size(), c["size"]);
    auto stream = StreamingDetokenizer::of(tokenizer, false);
    for (const Json& text : c["texts"]) {
      const Ids ids = text["ids"];
      EXPECT_EQ(*tokenizer.encode(text["text"].get<std::string>()), ids) << c["config"] << text["text"];
      EXPECT_EQ(*tokenizer.decode(ids), text["decoded"]) << text["text"];
      EXPECT_EQ(*tokenizer.decode(ids, true), text["plain"]) << text["text"];
      EXPECT_EQ(joined(*stream, ids), text["decoded"]) << text["text"];
    }
  }
}

TEST(PieceFile, MergesInTheOrderOfThePieces) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder, merged, R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_THAT(*tokenizer.encode("ab"), ElementsAre(6, 5));
  EXPECT_THAT(*tokenizer.encode("aa<tool>b</s>"), ElementsAre(7, 3, 8, 4, 2));
  EXPECT_THAT(tokenizer.eos_ids(), ElementsAre(2));
}

TEST(PieceFile, PrefixAndTokensAround) {
  struct Case {
    const char* config;
    Ids expected;
  };
  const Case cases[] = {
      {R"({"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true, "add_eos_token": true})", {1, 6, 5, 2}},
      {R"({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false})", {5}},
      {R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "bos_token": null})", {6, 5}},
      {R"({"tokenizer_class": "GemmaTokenizer", "add_bos_token": true, "bos_token": "<s>"})", {1, 5}},
      {R"({"add_bos_token": true})", {1, 5}}};
  for (const Case& c : cases) {
    TokenizerFolder folder;
    EXPECT_EQ(*opened(folder, merged, c.config).encode("ab"), c.expected) << c.config;
  }
}

TEST(PieceFile, NumberedTokensTakeThePlaceOfPieces) {
  TokenizerFolder folder;
  const Tokenizer tokenizer =
      opened(folder, merged,
             R"({"added_tokens_decoder": {"9": {"content": "<end>", "special": true}, "8": {"content": "<x>"}}})");
  EXPECT_EQ(tokenizer.id_of("<x>"), 8);
  EXPECT_EQ(tokenizer.id_of("<end>"), 9);
  EXPECT_EQ(tokenizer.id_of("<tool>"), 10);
}

TEST(PieceFile, ChatTemplatesGetTheTokensOfTheClass) {
  TokenizerFolder folder;
  folder.with("tokenizer.model", merged);
  folder.with("tokenizer_config.json", R"({"tokenizer_class": "GemmaTokenizer", "eos_token": "</s>",
                                           "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"})");
  const auto chat = ChatTemplate::of(folder.path());
  ASSERT_TRUE(chat && *chat);
  EXPECT_EQ(*(*chat)->render(std::vector<ChatMessage>{{"user", "Hello"}}), "<bos>Hello</s>");
}

TEST(PieceFile, ClassesThatAreRefused) {
  EXPECT_EQ(error_of(merged, R"({"tokenizer_class": "XLNetTokenizer"})").tag, ErrorTag::unsupported);
  EXPECT_EQ(error_of(merged, "{}", R"({"model_type": "t5"})").tag, ErrorTag::unsupported);
  EXPECT_EQ(error_of(merged, R"({"tokenizer_class": "LlamaTokenizer"})", R"({"model_type": "qwen2"})").tag,
            ErrorTag::unsupported);
  const Error own =
      error_of(merged, R"({"auto_map": {"AutoTokenizer": ["a.B", null]}})", R"({"model_type": "mistral"})");
  EXPECT_EQ(own.tag, ErrorTag::unsupported);
  EXPECT_THAT(own.value, HasSubstr("auto_map"));
  EXPECT_THAT(own.way_out, HasSubstr("save_pretrained"));
}

TEST(PieceFile, BrokenModels) {
  const std::string whole = read("unigram.model");
  const std::string broken[] = {
      "",
      "\x0a",
      "no protobuf at all",
      whole.substr(0, whole.size() / 2),
      merged + piece("a"),
      merged + piece(""),
      merged + piece(std::string(100, 'a') + "\xff"),
      merged + piece("c", std::numeric_limits<float>::quiet_NaN()),
      letters + field(2, number(40, 100)),                               // unk_id beyond the pieces
      letters + field(3, field(2, std::string("\x08\x00\x00\x01", 4))),  // a character table cut off
      merged + "\x12\x7f"};
  for (const std::string& model : broken) EXPECT_EQ(error_of(model).tag, ErrorTag::bad_file) << model.substr(0, 80);
}

}  // namespace
}  // namespace pippin

#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include "text/tokenizer_folder.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Ids = std::vector<std::int32_t>;

Tokenizer opened(const TokenizerFolder& folder) {
  auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_TRUE(tokenizer) << tokenizer.error().message();
  return *std::move(tokenizer);
}

Error error_of_open(const std::filesystem::path& folder) {
  const auto tokenizer = Tokenizer::open(folder);
  EXPECT_FALSE(tokenizer);
  return tokenizer ? Error{} : tokenizer.error();
}

TEST(Tokenizer, BundledExample) {
  const auto tokenizer = Tokenizer::open(PIPPIN_SOURCE_DIR "/examples/kjv-tiny");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  const auto ids = tokenizer->encode("In the beginning");
  ASSERT_TRUE(ids) << ids.error().message();
  EXPECT_EQ(ids->front(), 0);
  EXPECT_EQ(*tokenizer->decode(*ids, true), "In the beginning");
  EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(1, 5));
}

TEST(Tokenizer, SpecialTokensAroundAndInside) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  EXPECT_THAT(*tokenizer.encode("ab"), ElementsAre(1, 9, 8));
  EXPECT_THAT(*tokenizer.encode("ab", false), ElementsAre(9, 8));
  EXPECT_THAT(*tokenizer.encode("a</s>", false), ElementsAre(9, 2));
  EXPECT_THAT(*tokenizer.encode("", false), IsEmpty());
}

TEST(Tokenizer, NoTruncationWhateverTheFileSays) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  EXPECT_THAT(*tokenizer.encode("a a a a a"), ElementsAre(1, 9, 9, 9, 9, 9));
}

TEST(Tokenizer, BytesForWhatTheVocabularyLacks) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  EXPECT_THAT(*tokenizer.encode("aé", false), ElementsAre(9, 3, 4));
  EXPECT_EQ(*tokenizer.decode(Ids{9, 3, 4}), "aé");
  EXPECT_EQ(*tokenizer.decode(Ids{9, 3, 8}), "a\uFFFDb");
}

TEST(Tokenizer, DecodeWithAndWithoutSpecialTokens) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  EXPECT_EQ(*tokenizer.decode(Ids{1, 9, 2}), "<s> a</s>");
  EXPECT_EQ(*tokenizer.decode(Ids{1, 9, 2}, true), "a");
  EXPECT_EQ(*tokenizer.decode(Ids{9, 9999}), "a");
  EXPECT_EQ(tokenizer.decode(Ids{-1}).error().tag, ErrorTag::usage);
}

TEST(Tokenizer, TokensAndIds) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  EXPECT_EQ(tokenizer.id_of("▁a"), 9);
  EXPECT_EQ(tokenizer.id_of("nowhere"), std::nullopt);
  EXPECT_EQ(tokenizer.token_of(9), "▁a");
  EXPECT_EQ(tokenizer.token_of(11), std::nullopt);
  EXPECT_EQ(tokenizer.token_of(-1), std::nullopt);
  EXPECT_EQ(tokenizer.vocabulary_size(), 11U);
}

TEST(Tokenizer, TextThatIsNotUtf8) {
  TokenizerFolder folder;
  const Tokenizer tokenizer = opened(folder.with("tokenizer.json", byte_fallback_tokenizer));
  const auto ids = tokenizer.encode("ab\xff");
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().tag, ErrorTag::usage);
  EXPECT_THAT(ids.error().value, HasSubstr("byte 2"));
}

TEST(Tokenizer, AddedTokensOfTheSettings) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", byte_fallback_tokenizer);
  folder.with("tokenizer_config.json",
              R"({"eos_token": {"content": "</s>"}, "pad_token": "<pad>", "added_tokens_decoder": {
      "11": {"content": "<tool>", "special": false, "normalized": false}, "1": {"content": "<s>", "special": true}}})");
  const Tokenizer tokenizer = opened(folder);
  EXPECT_EQ(tokenizer.id_of("<tool>"), 11);
  EXPECT_EQ(tokenizer.id_of("<pad>"), 12);
  EXPECT_THAT(*tokenizer.encode("a<tool>", false), ElementsAre(9, 11));
  EXPECT_EQ(*tokenizer.decode(Ids{9, 11, 12}, true), "a<tool>");
  EXPECT_THAT(tokenizer.special_tokens(), ElementsAre(std::pair("eos_token", "</s>"), std::pair("pad_token", "<pad>")));
  EXPECT_THAT(tokenizer.eos_ids(), ElementsAre(2));
}

TEST(Tokenizer, EosIds) {
  struct Case {
    const char* generation;
    const char* config;
    Ids expected;
  };
  const Case cases[] = {{R"({"eos_token_id": 7})", R"({"eos_token_id": 8})", {7, 2}},
                        {R"({"eos_token_id": [7, 2]})", "{}", {7, 2}},
                        {"{}", R"({"eos_token_id": [8]})", {8, 2}},
                        {R"({"eos_token_id": null})", "{}", {2}}};
  for (const Case& c : cases) {
    TokenizerFolder folder;
    folder.with("tokenizer.json", byte_fallback_tokenizer).with("special_tokens_map.json", R"({"eos_token": "</s>"})");
    folder.with("generation_config.json", c.generation).with("config.json", c.config);
    EXPECT_EQ(opened(folder).eos_ids(), c.expected) << c.generation;
  }
}

TEST(Tokenizer, Thinking) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", byte_fallback_tokenizer);
  EXPECT_FALSE(opened(folder).has_thinking());
  folder.with("tokenizer_config.json", R"({"extra_special_tokens": ["<think>", "</think>"]})");
  EXPECT_TRUE(opened(folder).has_thinking());
}

TEST(Tokenizer, SpacesCleanedUpBehindWords) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", word_piece_tokenizer);
  EXPECT_EQ(*opened(folder).decode(Ids{1, 2, 3, 4, 6, 5}), "it ' s finely .");
  folder.with("tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  EXPECT_EQ(*opened(folder).decode(Ids{1, 2, 3, 4, 6, 5}), "it's finely.");
}

TEST(Tokenizer, VocabularyAndMerges) {
  TokenizerFolder folder;
  folder.with("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "\u0120": 3})").with("merges.txt", "#version: 0.2\na b\n");
  EXPECT_EQ(error_of_open(folder.path()).tag, ErrorTag::unsupported);
  folder.with("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  const Tokenizer tokenizer = opened(folder);
  EXPECT_THAT(*tokenizer.encode("ab a<|endoftext|>"), ElementsAre(2, 3, 0, 4));
  EXPECT_EQ(*tokenizer.decode(Ids{2, 3, 0}), "ab a");
  EXPECT_THAT(tokenizer.eos_ids(), ElementsAre(4));
}

TEST(Tokenizer, FoldersWithoutOne) {
  TokenizerFolder folder;
  EXPECT_EQ(error_of_open(folder.path()).tag, ErrorTag::not_found);
  folder.with("tokenizer.model", "\x0a").with("tekken.json", "{}");
  const Error error = error_of_open(folder.path());
  EXPECT_EQ(error.tag, ErrorTag::unsupported);
  EXPECT_THAT(error.way_out, HasSubstr("save_pretrained"));
}

TEST(Tokenizer, BrokenFiles) {
  const std::string whole = byte_fallback_tokenizer;
  const std::string broken[] = {"",
                                "{}",
                                "[]",
                                "null",
                                "\xff\xfe",
                                std::string(100'000, '['),
                                whole.substr(0, whole.size() / 2),
                                R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})",
                                R"({"model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["a zz"]}})",
                                R"({"model": {"type": "Unigram", "vocab": [], "unk_id": 7}})",
                                R"({"version": "1.0", "model": {"type": "WordLevel", "vocab": [], "unk_token": 3}})",
                                R"({"decoder": 3, "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})"};
  for (const std::string& json : broken) {
    TokenizerFolder folder;
    EXPECT_EQ(error_of_open(folder.with("tokenizer.json", json).path()).tag, ErrorTag::bad_file) << json.substr(0, 60);
  }
}

TEST(Tokenizer, BrokenSettings) {
  const char* const broken[] = {"[]",
                                "{",
                                R"({"eos_token": 3})",
                                R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
                                R"({"added_tokens_decoder": []})",
                                R"({"extra_special_tokens": [1]})"};
  for (const char* json : broken) {
    TokenizerFolder folder;
    folder.with("tokenizer.json", byte_fallback_tokenizer).with("tokenizer_config.json", json);
    EXPECT_EQ(error_of_open(folder.path()).tag, ErrorTag::bad_file) << json;
  }
}

}  // namespace
}  // namespace pippin

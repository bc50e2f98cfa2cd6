#include "text/streaming_detokenizer.h"

#include <gmock/gmock.h>

#include "text/tokenizer_folder.h"

namespace pippin {
namespace {

using testing::ElementsAre;

using Ids = std::vector<std::int32_t>;

std::vector<std::string> pieces_of(const std::filesystem::path& folder, const Ids& ids,
                                   bool skip_special_tokens = true) {
  const auto tokenizer = Tokenizer::open(folder);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message();
  auto stream = StreamingDetokenizer::of(*tokenizer, skip_special_tokens);
  EXPECT_TRUE(stream);
  std::vector<std::string> pieces;
  for (const std::int32_t id : ids) pieces.push_back(*stream->add(id));
  pieces.push_back(*stream->finish());
  return pieces;
}

TEST(StreamingDetokenizer, ByteRunsWaitForTheirEnd) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", byte_fallback_tokenizer);
  EXPECT_THAT(pieces_of(folder.path(), {9, 3, 4, 8}), ElementsAre("a", "", "", "éb", ""));
  EXPECT_THAT(pieces_of(folder.path(), {9, 3, 4}), ElementsAre("a", "", "", "é"));
  EXPECT_THAT(pieces_of(folder.path(), {3, 4, 5, 8}), ElementsAre("", "", "", "\uFFFD\uFFFD\uFFFDb", ""));
}

TEST(StreamingDetokenizer, FirstSpaceIsStripped) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", byte_fallback_tokenizer);
  EXPECT_THAT(pieces_of(folder.path(), {1, 9, 9, 6, 2}), ElementsAre("", "a", " a", " ", "", ""));
  EXPECT_THAT(pieces_of(folder.path(), {1, 9}, false), ElementsAre("<s>", " a", ""));
}

TEST(StreamingDetokenizer, CharactersAreNeverBroken) {
  const auto tokenizer = Tokenizer::open(PIPPIN_SOURCE_DIR "/examples/kjv-tiny");
  ASSERT_TRUE(tokenizer);
  const auto ids = tokenizer->encode("a🙂b", false);
  ASSERT_TRUE(ids);
  ASSERT_EQ(ids->size(), 6U);
  EXPECT_THAT(pieces_of(PIPPIN_SOURCE_DIR "/examples/kjv-tiny", *ids), ElementsAre("a", "", "", "", "🙂", "b", ""));
  const Ids cut(ids->begin(), ids->begin() + 3);
  EXPECT_THAT(pieces_of(PIPPIN_SOURCE_DIR "/examples/kjv-tiny", cut), ElementsAre("a", "", "", "\uFFFD"));
}

TEST(StreamingDetokenizer, CleaningWaitsForLongWords) {
  TokenizerFolder folder;
  folder.with("tokenizer.json", word_piece_tokenizer);
  folder.with("tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  EXPECT_THAT(pieces_of(folder.path(), {1, 2, 3, 4, 6, 5}), ElementsAre("", "", "", "it's fine", "", "", "ly."));
}

TEST(StreamingDetokenizer, StartsAgainAfterTheEnd) {
  TokenizerFolder folder;
  const auto tokenizer = Tokenizer::open(folder.with("tokenizer.json", byte_fallback_tokenizer).path());
  ASSERT_TRUE(tokenizer);
  auto stream = StreamingDetokenizer::of(*tokenizer);
  ASSERT_TRUE(stream);
  EXPECT_EQ(*stream->add(9), "a");
  EXPECT_EQ(*stream->add(9), " a");
  EXPECT_EQ(*stream->finish(), "");
  EXPECT_EQ(*stream->add(9), "a");
  EXPECT_FALSE(stream->add(-1));
}

}  // namespace
}  // namespace pippin

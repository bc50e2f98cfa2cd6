#include "verify/recorded_agreement.h"

#include <gmock/gmock.h>

#include <cmath>

#include "package/temporary_folder.h"
#include "source/safetensors_writer.h"

using namespace pippin;
using testing::HasSubstr;

namespace {

using Row = std::vector<float>;

// One prompt of the tokens 0, 1: logits (0, 0) and (1, 2), and layer 3.
Recording recorded() {
  auto writer = RecordingWriter::make();
  EXPECT_TRUE(writer);
  EXPECT_TRUE(writer->add_ids(0, std::vector<int32_t>{0, 1}));
  EXPECT_TRUE(writer->add(layer_name(0, 3), Row{1, 2, 3, 4}, 2));
  EXPECT_TRUE(writer->add(logits_name(0), Row{0, 0}, 2));
  EXPECT_TRUE(writer->add(logits_name(0), Row{1, 2}, 2));
  auto recording = std::move(*writer).finish();
  EXPECT_TRUE(recording);
  return std::move(*recording);
}

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

Result<Recording> opened(const std::vector<SafetensorsTensor>& tensors, const std::string& data) {
  const TemporaryFolder folder;
  return Recording::open(folder.write("r.safetensors", safetensors_header(tensors, {{"dtype", "bfloat16"}}) + data));
}

}  // namespace

TEST(RecordedAgreement, OfTheSameValues) {
  const Recording expected = recorded();
  RecordedAgreement measured(expected);
  ASSERT_TRUE(measured.add_layer(0, 3, Row{1, 2, 3, 4}));
  ASSERT_TRUE(measured.add_logits(0, 0, Row{0, 0, 1, 2}, 2));
  const Agreement found = measured.result({"hello"});
  EXPECT_EQ(found.logits->rows, 2U);
  EXPECT_EQ(found.logits->largest_difference, 0);
  EXPECT_EQ(found.prompts[0].text, "hello");
  EXPECT_EQ(found.layers[0].layer, 3);
  EXPECT_EQ(found.layers[0].relative_error, 0);
  EXPECT_EQ(found.perplexity->tokens, 1U);
  EXPECT_NEAR(found.perplexity->expected, 2, 1e-12);
}

TEST(RecordedAgreement, OfOtherValuesInPieces) {
  const Recording expected = recorded();
  RecordedAgreement measured(expected);
  ASSERT_TRUE(measured.add_logits(0, 0, Row{0, 0}, 2));
  ASSERT_TRUE(measured.add_logits(0, 1, Row{4, 2}, 2));
  ASSERT_TRUE(measured.add_layer(0, 4, Row{9}));  // was not recorded
  const Agreement found = measured.result({});
  EXPECT_EQ(found.logits->largest_difference, 3);
  EXPECT_EQ(found.logits->top1, 0.5);
  EXPECT_TRUE(found.layers.empty());
}

TEST(RecordedAgreement, OtherWidthsAreAMismatch) {
  const Recording expected = recorded();
  RecordedAgreement measured(expected);
  EXPECT_EQ(measured.add_logits(0, 0, Row{0, 0, 0}, 3).error().tag, ErrorTag::mismatch);
  EXPECT_EQ(measured.add_layer(0, 3, Row{0, 0}).error().tag, ErrorTag::mismatch);
}

TEST(RecordingFile, IdsOf64BitsAndLayersInBf16) {
  const auto recording = opened({{"prompts.0.ids", DType::I64, {2}}, {"prompts.0.layers.0", DType::BF16, {2, 1}}},
                                bytes_of(std::vector<int64_t>{5, 6}) + bytes_of(std::vector<uint16_t>{0x3f80, 0x4000}));
  ASSERT_TRUE(recording);
  EXPECT_EQ(recording->prompts(), (std::vector<std::vector<int32_t>>{{5, 6}}));
  EXPECT_EQ(recording->dtype(), "bfloat16");
  Row values(2);
  ASSERT_TRUE(recording->read(*recording->layer(0, 0), 0, values));
  EXPECT_EQ(values, (Row{1, 2}));
}

TEST(RecordingFile, WhatDoesNotBelongTogetherIsRefused) {
  const std::string ids = bytes_of(std::vector<int32_t>{1, 2});
  const std::vector<std::pair<std::vector<SafetensorsTensor>, std::string>> files{
      {{{"prompts.1.ids", DType::I32, {2}}}, ids},
      {{{"prompts.0.ids", DType::F32, {2}}}, ids},
      {{{"prompts.0.ids", DType::I32, {2}}}, bytes_of(std::vector<int32_t>{1, -2})},
      {{{"prompts.0.ids", DType::I32, {2}}, {"prompts.0.logits", DType::F32, {1, 2}}}, ids + ids},
      {{{"prompts.0.ids", DType::I32, {2}}, {"prompts.0.layers.0", DType::I32, {2, 1}}}, ids + ids},
  };
  for (const auto& [tensors, data] : files) {
    const auto recording = opened(tensors, data);
    ASSERT_FALSE(recording);
    EXPECT_EQ(recording.error().tag, ErrorTag::bad_file);
  }
}

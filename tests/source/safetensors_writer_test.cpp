#include "source/safetensors_writer.h"

#include <gtest/gtest.h>

using namespace pippin;
using namespace std::string_literals;

TEST(SafetensorsHeader, NamesDtypesShapesAndDenseOffsets) {
  const std::vector<SafetensorsTensor> tensors{
      {"w", DType::BF16, {2, 3}}, {"empty", DType::F32, {0, 4}}, {"scalar", DType::U8, {}}};
  EXPECT_EQ(safetensors_header(tensors, {{"format", "mlx"}}),
            "\xd8\0\0\0\0\0\0\0"s
            R"({"__metadata__":{"format":"mlx"},)"
            R"("w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
            R"("empty":{"dtype":"F32","shape":[0,4],"data_offsets":[12,12]},)"
            R"("scalar":{"dtype":"U8","shape":[],"data_offsets":[12,13]}})"
            "       ");
}

TEST(SafetensorsHeader, NoTensorsAndNoMetadata) {
  EXPECT_EQ(safetensors_header({}, {}), "\x08\0\0\0\0\0\0\0{}      "s);
}

TEST(SafetensorsHeader, EscapesNames) {
  const std::vector<SafetensorsTensor> tensors{{"a\"b\n\xc3\xa9", DType::U8, {1}}};
  const std::string header = safetensors_header(tensors, {});
  EXPECT_NE(header.find("{\"a\\\"b\\n\xc3\xa9\":{"), std::string::npos) << header;
}

TEST(SafetensorsHeader, BytesThatAreNotUtf8DoNotThrow) {
  const std::vector<SafetensorsTensor> tensors{{"\xff", DType::U8, {1}}};
  EXPECT_NE(safetensors_header(tensors, {}).find("\xef\xbf\xbd"), std::string::npos);
}

TEST(SafetensorsHeader, AlwaysAMultipleOfEight) {
  for (size_t length = 1; length <= 8; ++length) {
    const std::vector<SafetensorsTensor> tensors{{std::string(length, 'n'), DType::U8, {1}}};
    EXPECT_EQ(safetensors_header(tensors, {}).size() % 8, 0u) << length;
  }
}

#include "source/stamp.h"

#include <gtest/gtest.h>

using namespace pippin;
using Json = nlohmann::ordered_json;

namespace {

const Stamp example{"0.1.0", "mlx-lm", "metal", "mlx"};

Json file_metadata(const char* version = "0.1.0") {
  return {{"format", "mlx"},
          {"pippin", version},
          {"pippin.target", "mlx-lm"},
          {"pippin.rounding", "metal"},
          {"pippin.layout", "mlx"}};
}

std::optional<Stamp> stamp_of_files(std::vector<Json> files) {
  return stamp_of(files);
}

}  // namespace

TEST(Stamp, MetadataHoldsFormatAndStamp) {
  EXPECT_EQ(nlohmann::json(metadata_of(example)), nlohmann::json(file_metadata()));
}

TEST(Stamp, ReadBackFromAllFiles) {
  EXPECT_EQ(stamp_of_files({file_metadata()}), example);
  EXPECT_EQ(stamp_of_files({file_metadata(), file_metadata()}), example);
}

TEST(Stamp, NoneWhereFilesDisagreeOrLackIt) {
  EXPECT_EQ(stamp_of_files({}), std::nullopt);
  EXPECT_EQ(stamp_of_files({nullptr}), std::nullopt);
  EXPECT_EQ(stamp_of_files({{{"format", "mlx"}}}), std::nullopt);
  EXPECT_EQ(stamp_of_files({file_metadata(), nullptr}), std::nullopt);
  EXPECT_EQ(stamp_of_files({nullptr, file_metadata()}), std::nullopt);
  EXPECT_EQ(stamp_of_files({file_metadata(), file_metadata("0.2.0")}), std::nullopt);
}

TEST(Stamp, NoneWhereItIsNotText) {
  Json numbers = file_metadata();
  numbers["pippin"] = 1;
  EXPECT_EQ(stamp_of_files({numbers}), std::nullopt);
}

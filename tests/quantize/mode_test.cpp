#include "quantize/mode.h"

#include <gtest/gtest.h>

using namespace pippin;

TEST(QuantModes, RowsAreFoundByModeAndByName) {
  EXPECT_EQ(quant_modes().size(), 4u);
  for (const QuantModeRow& row : quant_modes()) {
    EXPECT_EQ(&row_of(row.mode), &row);
    EXPECT_EQ(quant_mode_of(row.name), row.mode);
    EXPECT_TRUE(check({row.mode, row.default_bits, row.default_group_size}));
  }
  EXPECT_EQ(quant_mode_of("q4_0"), std::nullopt);
}

TEST(QuantModes, CheckTakesWhatTheRowAllows) {
  EXPECT_TRUE(check({QuantMode::affine, 1, 128}));
  EXPECT_TRUE(check({QuantMode::affine, 8, 32}));
  EXPECT_TRUE(check({QuantMode::nvfp4, 4, 16}));
  EXPECT_FALSE(check({QuantMode::affine, 7, 64}));
  EXPECT_FALSE(check({QuantMode::affine, 4, 16}));
  EXPECT_FALSE(check({QuantMode::mxfp8, 4, 32}));
}

TEST(QuantModes, TheErrorSaysWhatIsAllowed) {
  const Status status = check({QuantMode::affine, 7, 64});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().tag, ErrorTag::usage);
  EXPECT_EQ(status.error().rule, "mode affine has bits 1, 2, 3, 4, 5, 6, 8");
  EXPECT_EQ(status.error().value, "bits 7");
  EXPECT_EQ(check({QuantMode::nvfp4, 4, 64}).error().value, "group size 64");
}

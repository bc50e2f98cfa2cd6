#include "verify/agreement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace pippin;

namespace {

using Row = std::vector<float>;
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

LogitAgreement measured(const std::vector<std::pair<Row, Row>>& rows) {
  LogitMeter meter;
  for (const auto& [expected, model] : rows) meter.add(expected, model);
  return meter.result();
}

}  // namespace

TEST(Logits, TheSameOnBothSides) {
  const auto found = measured({{{1, 2, 3}, {1, 2, 3}}, {{0, 0, 5}, {0, 0, 5}}});
  EXPECT_EQ(found.rows, 2U);
  EXPECT_EQ(found.largest_difference, 0);
  EXPECT_EQ(found.mean_kl, 0);
  EXPECT_EQ(found.top1, 1);
  EXPECT_EQ(found.histogram[0], 6U);
}

TEST(Logits, DifferencesAndTheirSizes) {
  const auto found = measured({{{1, 2}, {1, 2.5F}}, {{4, 0}, {3, 0}}});
  EXPECT_EQ(found.largest_difference, 1);
  EXPECT_EQ(found.mean_difference, 0.375);
  EXPECT_EQ(found.histogram[17], 1U);  // 0.316 <= 0.5 < 1
  EXPECT_EQ(found.histogram[18], 1U);  // 1
}

TEST(Logits, KlOfTwoDistributions) {
  // (1/4, 3/4) against (1/2, 1/2): 1/4 log(1/2) + 3/4 log(3/2)
  const auto found = measured({{{0, std::log(3.0F)}, {7, 7}}});
  EXPECT_NEAR(found.mean_kl, 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-7);
}

TEST(Logits, AShiftOfAllLogitsChangesNoProbability) {
  EXPECT_NEAR(measured({{{1, 2, 3}, {101, 102, 103}}}).mean_kl, 0, 1e-12);
}

TEST(Logits, TopOneOfFourRows) {
  EXPECT_EQ(measured({{{1, 2}, {1, 3}}, {{1, 2}, {2, 1}}, {{5, 1}, {5, 2}}, {{0, 1}, {0, 1}}}).top1, 0.75);
}

TEST(Logits, RowsThatAreNoNumbersAreCountedApart) {
  const auto found = measured({{{1, not_a_number}, {1, 2}}, {{1, 2}, {infinity, 2}}, {{1, 2}, {1, 2}}});
  EXPECT_EQ(found.nonfinite_rows, 2U);
  EXPECT_EQ(found.rows, 1U);
}

TEST(Logits, ATokenThatCannotComeOnBothSides) {
  const auto found = measured({{{1, -infinity}, {1, -infinity}}});
  EXPECT_EQ(found.rows, 1U);
  EXPECT_EQ(found.largest_difference, 0);
  EXPECT_EQ(found.mean_kl, 0);
}

TEST(Layers, RelativeError) {
  LayerMeter meter;
  meter.add(Row{3, 0}, Row{3, 1});
  meter.add(Row{0, 4}, Row{0, 4});
  EXPECT_EQ(meter.result(7).layer, 7);
  EXPECT_EQ(meter.result(7).relative_error, 0.2);
  EXPECT_EQ(meter.result(7).largest_difference, 1);
}

TEST(Layers, NaNIsBeyondEveryBound) {
  LayerMeter meter;
  meter.add(Row{1, 1}, Row{1, not_a_number});
  EXPECT_EQ(meter.result(0).relative_error, std::numeric_limits<double>::infinity());
}

TEST(Surprise, OfATokenAmongFourEquals) {
  EXPECT_NEAR(surprise(Row{2, 2, 2, 2}, 1), std::log(4.0), 1e-12);
}

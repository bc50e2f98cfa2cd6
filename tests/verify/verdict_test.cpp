#include <gmock/gmock.h>

#include <cmath>

#include "pippin/behaviour.h"

using namespace pippin;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

Agreement agreement(double difference, double kl, double top1, std::vector<double> layer_errors,
                    Precision precision = Precision::float32) {
  Agreement result;
  result.precision = precision;
  result.thresholds = default_thresholds(precision);
  LogitAgreement logits;
  logits.rows = 10;
  logits.largest_difference = difference;
  logits.mean_kl = kl;
  logits.top1 = top1;
  result.logits = logits;
  for (const double error : layer_errors)
    result.layers.push_back({static_cast<int>(result.layers.size()), error, error});
  judge(result);
  return result;
}

std::vector<std::string> failures(const Agreement& judged) {
  std::vector<std::string> names;
  for (const auto& check : judged.checks)
    if (!check.passed) names.push_back(check.what);
  return names;
}

}  // namespace

TEST(Verdict, SameModelsPass) {
  const auto judged = agreement(0, 0, 1, {0, 0, 0});
  EXPECT_TRUE(judged.passed());
  EXPECT_FALSE(judged.first_diverging_layer);
  EXPECT_EQ(judged.checks.size(), 5U);
}

TEST(Verdict, InFloat32AThousandthIsTooMuch) {
  EXPECT_THAT(failures(agreement(1.1e-3, 0, 1, {})), ElementsAre("largest logit difference"));
  EXPECT_THAT(failures(agreement(0.9e-3, 0, 1, {})), IsEmpty());
}

TEST(Verdict, TheFirstLayerBeyondTheBoundIsNamed) {
  EXPECT_EQ(agreement(0, 0, 1, {1e-6, 2e-6, 0.5, 0.4}).first_diverging_layer, 2);
  EXPECT_THAT(failures(agreement(0, 0, 1, {1e-6, 0.5})), ElementsAre("largest layer error"));
}

TEST(Verdict, FourBitsMayDifferFurther) {
  EXPECT_THAT(failures(agreement(3, 0.1, 0.8, {0.1, 0.2}, Precision::four_bits)), IsEmpty());
  EXPECT_THAT(failures(agreement(3, 1.1, 0.3, {0.1, 0.2}, Precision::four_bits)),
              ElementsAre("top-1 agreement", "mean KL divergence"));
}

TEST(Verdict, NaNFails) {
  EXPECT_THAT(failures(agreement(0, std::nan(""), 1, {})), ElementsAre("mean KL divergence"));
}

TEST(Verdict, PerplexityMayFallButNotRise) {
  Agreement judged = agreement(0, 0, 1, {});
  judged.perplexity = PerplexityPair{100, 20, 10};
  judge(judged);
  EXPECT_TRUE(judged.passed());
  judged.perplexity = PerplexityPair{100, INFINITY, INFINITY};
  judge(judged);
  EXPECT_TRUE(judged.passed());
  judged.perplexity = PerplexityPair{100, 20, 20.1};
  judge(judged);
  EXPECT_THAT(failures(judged), ElementsAre("perplexity increase"));
}

TEST(Verdict, GivenBoundsTakeTheDefaultsPlace) {
  Thresholds given;
  given.max_kl = 7;
  const Thresholds both = merged(default_thresholds(Precision::float32), given);
  EXPECT_EQ(both.max_kl, 7);
  EXPECT_EQ(both.max_logit_difference, 1e-3);
}

TEST(Verdict, PrecisionIsThatOfTheCoarsestLayer) {
  EXPECT_EQ(precision_of(true, 0), Precision::float32);
  EXPECT_EQ(precision_of(false, 0), Precision::half);
  EXPECT_EQ(precision_of(false, 8), Precision::eight_bits);
  EXPECT_EQ(precision_of(true, 4), Precision::four_bits);
  EXPECT_EQ(precision_of(true, 2), Precision::two_bits);
}

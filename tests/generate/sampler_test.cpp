#include "generate/sampler.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/logits_processors.h"

namespace pippin {
namespace {

using testing::ElementsAre;

// Tokens 0 to 4 with these probabilities.
std::vector<float> logprobs() {
  return {std::log(0.1f), std::log(0.4f), std::log(0.05f), std::log(0.25f), std::log(0.2f)};
}

std::vector<int> kept(const std::vector<float>& values) {
  std::vector<int> ids;
  for (size_t k = 0; k < values.size(); ++k) {
    if (values[k] > -std::numeric_limits<float>::infinity()) ids.push_back(static_cast<int>(k));
  }
  return ids;
}

TEST(Sampler, TopPKeepsTheLikeliestUpToTheProbability) {
  auto values = logprobs();
  keep_top_p(values, 0.6);
  EXPECT_THAT(kept(values), ElementsAre(1, 3));
  values = logprobs();
  keep_top_p(values, 0.3);
  EXPECT_THAT(kept(values), ElementsAre(1));
  values = logprobs();
  keep_top_p(values, 0.7);
  EXPECT_THAT(kept(values), ElementsAre(1, 3, 4));
}

TEST(Sampler, TopPOfALargeVocabulary) {
  std::vector<float> values(5000, std::log(1.0f / 5000));
  for (size_t k = 0; k < values.size(); ++k) values[k] -= 0.0001f * static_cast<float>(k);
  keep_top_p(values, 0.5);
  EXPECT_GT(kept(values).size(), 2000u);
  EXPECT_LT(kept(values).size(), 2500u);
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  auto values = logprobs();
  keep_min_p(values, 0.3, 1);
  EXPECT_THAT(kept(values), ElementsAre(1, 3, 4));
  values = logprobs();
  keep_min_p(values, 0.9, 1);
  EXPECT_THAT(kept(values), ElementsAre(1));
  values = logprobs();
  keep_min_p(values, 0.9, 3);
  EXPECT_THAT(kept(values), ElementsAre(1, 3, 4));
}

TEST(Sampler, TopKKeepsAsManyAndTheLowestIdsOfEquals) {
  auto values = logprobs();
  keep_top_k(values, 2);
  EXPECT_THAT(kept(values), ElementsAre(1, 3));
  std::vector<float> equal(4, -1.0f);
  keep_top_k(equal, 3);
  EXPECT_THAT(kept(equal), ElementsAre(0, 1, 2));
}

TEST(Sampler, XtcLeavesTheLeastLikelyOfTheTopChoices) {
  auto values = logprobs();
  exclude_top_choices(values, 0.15, {});
  EXPECT_THAT(kept(values), ElementsAre(0, 2, 4));
  values = logprobs();
  exclude_top_choices(values, 0.15, std::vector<int32_t>{1});
  EXPECT_THAT(kept(values), ElementsAre(0, 1, 2, 4));
  values = logprobs();
  exclude_top_choices(values, 0.45, {});
  EXPECT_THAT(kept(values), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Sampler, TemperatureZeroTakesTheFirstOfTheLikeliest) {
  Sampler sampler({}, {});
  std::vector<float> values{-3, -1, -1, -2};
  EXPECT_EQ(sampler.draw(values), 1);
}

// The same seed gives the same tokens on every machine.
TEST(Sampler, SeedsAreRepeatable) {
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 7;
  const auto draws = [&] {
    Sampler sampler(options, {});
    std::vector<int32_t> ids;
    for (int k = 0; k < 12; ++k) {
      auto values = logprobs();
      ids.push_back(sampler.draw(values));
    }
    return ids;
  };
  const auto first = draws();
  EXPECT_EQ(draws(), first);
  options.seed = 8;
  EXPECT_NE(draws(), first);
}

TEST(Sampler, DrawsByProbability) {
  SamplingOptions options;
  options.temperature = 0.5;
  options.seed = 1;
  Sampler sampler(options, {});
  std::vector<int> counts(5);
  constexpr int draws = 20000;
  for (int k = 0; k < draws; ++k) {
    auto values = logprobs();
    ++counts[static_cast<size_t>(sampler.draw(values))];
  }
  // At temperature 1/2 probabilities are squared: their squares add up to 0.275.
  const std::vector<double> expected{0.01 / 0.275, 0.16 / 0.275, 0.0025 / 0.275, 0.0625 / 0.275, 0.04 / 0.275};
  for (size_t k = 0; k < counts.size(); ++k) EXPECT_NEAR(counts[k] / double{draws}, expected[k], 0.015) << k;
}

TEST(Sampler, RefusesWhatMakesNoSense) {
  const auto tag = [](auto change) {
    SamplingOptions options;
    change(options);
    const auto status = check_sampling(options, 5);
    return status ? std::string("fine") : status.error().rule;
  };
  EXPECT_EQ(tag([](auto&) {}), "fine");
  EXPECT_EQ(tag([](auto& o) { o.temperature = -1; }), "a temperature is 0 or more");
  EXPECT_EQ(tag([](auto& o) { o.top_p = 1.5; }), "top-p lies between 0 and 1");
  EXPECT_EQ(tag([](auto& o) { o.top_k = 5; }), "top-k lies between 0 and the vocabulary's size");
  EXPECT_EQ(tag([](auto& o) { o.logit_bias[5] = 1; }), "a logit bias belongs to a token of the vocabulary");
  EXPECT_EQ(tag([](auto& o) { o.min_p = std::nan(""); }), "min-p lies between 0 and 1");
}

TEST(LogitsProcessors, PenaltiesAndBias) {
  SamplingOptions options;
  options.logit_bias = {{4, -2}};
  options.repetition_penalty = 2;
  std::vector<float> logits{1, -1, 3, 4, 5};
  process_logits(options, std::vector<int32_t>{0, 1, 0}, logits);
  EXPECT_THAT(logits, ElementsAre(0.5f, -2, 3, 4, 3));

  options = {};
  options.presence_penalty = 0.5;
  options.frequency_penalty = 1;
  logits = {1, -1, 3, 4, 5};
  process_logits(options, std::vector<int32_t>{0, 1, 0}, logits);
  EXPECT_THAT(logits, ElementsAre(-1.5f, -2.5f, 3, 4, 5));
}

TEST(LogitsProcessors, LookAtTheLastTokensOnly) {
  SamplingOptions options;
  options.repetition_penalty = 2;
  options.repetition_context_size = 1;
  std::vector<float> logits{1, 1, 1};
  process_logits(options, std::vector<int32_t>{0, 1, 2}, logits);
  EXPECT_THAT(logits, ElementsAre(1, 1, 0.5f));
}

}  // namespace
}  // namespace pippin

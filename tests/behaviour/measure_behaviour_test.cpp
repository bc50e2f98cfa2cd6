// The bundled example against itself; the command's test (tests/cli/verify_test.py) has the faults.
#include <gmock/gmock.h>

#include "pippin/behaviour.h"

using namespace pippin;

namespace {

BehaviourOptions example() {
  BehaviourOptions options;
  options.source = options.converted = std::filesystem::path(PIPPIN_SOURCE_DIR) / "examples" / "kjv-tiny";
  options.prompts = {"In the beginning", "And God said"};
  return options;
}

}  // namespace

TEST(Behaviour, OfAModelAgainstItself) {
  const auto report = measure_behaviour(example());
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->passed());
  ASSERT_EQ(report->agreements.size(), 1U);
  const Agreement& agreement = report->agreements[0];
  EXPECT_EQ(agreement.precision, Precision::half);
  EXPECT_EQ(agreement.prompts.size(), 2U);
  EXPECT_EQ(agreement.logits->largest_difference, 0);
  ASSERT_EQ(agreement.layers.size(), 3U);
  EXPECT_EQ(agreement.layers[2].relative_error, 0);
  EXPECT_EQ(agreement.perplexity->expected, agreement.perplexity->model);
}

TEST(Behaviour, OfATextInWindows) {
  BehaviourOptions options = example();
  for (int k = 0; k < 400; ++k) options.text += "In the beginning God created the heaven and the earth. ";
  options.text_tokens = 1000;
  const auto report = measure_behaviour(options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->agreements[0].perplexity_of_text);
  EXPECT_EQ(report->agreements[0].perplexity->tokens, 998U);  // of two windows, all but the first of each
}

TEST(Behaviour, StopsWhenCancelled) {
  const std::atomic<bool> cancelled = true;
  BehaviourOptions options = example();
  options.cancelled = &cancelled;
  EXPECT_EQ(measure_behaviour(options).error().tag, ErrorTag::interrupted);
}

// The distributions that mlx_lm draws from, recorded by record_sampling.py.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "generate/logits_processors.h"
#include "generate/sampler.h"

namespace pippin {
namespace {

using Json = nlohmann::json;

constexpr double smallest = 1e-35;  // less is nothing in float32

SamplingOptions options_of(const Json& sampler, const Json& processors) {
  SamplingOptions options;
  options.temperature = sampler.value("temp", 1.0);
  options.top_p = sampler.value("top_p", 0.0);
  options.min_p = sampler.value("min_p", 0.0);
  options.min_tokens_to_keep = sampler.value("min_tokens_to_keep", 1);
  options.top_k = sampler.value("top_k", 0);
  options.xtc_probability = sampler.value("xtc_probability", 0.0);
  options.xtc_threshold = sampler.value("xtc_threshold", 0.1);
  options.repetition_penalty = processors.value("repetition_penalty", 0.0);
  options.repetition_context_size = processors.value("repetition_context_size", 20);
  options.presence_penalty = processors.value("presence_penalty", 0.0);
  options.presence_context_size = processors.value("presence_context_size", 20);
  options.frequency_penalty = processors.value("frequency_penalty", 0.0);
  options.frequency_context_size = processors.value("frequency_context_size", 20);
  const Json biases = processors.value("logit_bias", Json::object());
  for (const auto& item : biases.items()) options.logit_bias[std::stoi(item.key())] = item.value().get<double>();
  return options;
}

std::vector<float> logprobs_of(const std::vector<float>& logits) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float x : logits) total += std::exp(static_cast<double>(x - top));
  std::vector<float> logprobs;
  for (const float x : logits) logprobs.push_back(x - top - static_cast<float>(std::log(total)));
  return logprobs;
}

TEST(Sampling, ProbabilitiesAreTheReferences) {
  const Json recorded = Json::parse(std::ifstream(PIPPIN_SOURCE_DIR "/tests/generate/sampling.json"));
  const auto seen = recorded["seen"].get<std::vector<int32_t>>();
  ASSERT_GT(recorded["cases"].size(), 40u);
  for (const auto& row : recorded["cases"]) {
    const SamplingOptions options = options_of(row["sampler"], row["processors"]);
    std::vector<float> logits = row["logits"].get<std::vector<float>>();
    process_logits(options, seen, logits);
    std::vector<float> logprobs = logprobs_of(logits);
    Sampler sampler(options, row["sampler"].value("xtc_special_tokens", std::vector<int32_t>()));
    const std::vector<double> weights = sampler.weights(logprobs);
    double total = 0;
    for (const double weight : weights) total += weight;
    for (size_t id = 0; id < weights.size(); ++id) {
      const double expected = row["probabilities"][id];
      EXPECT_EQ(weights[id] / total < smallest, expected == 0)
          << row["sampler"] << row["processors"] << " token " << id;
      EXPECT_NEAR(weights[id] / total, expected, 2e-6) << row["sampler"] << row["processors"] << " token " << id;
    }
  }
}

}  // namespace
}  // namespace pippin

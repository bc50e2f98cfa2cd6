// Draws a token from log-probabilities.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "pippin/error.h"
#include "pippin/generate.h"

namespace pippin {

// Errors (usage): numbers outside of their ranges. vocabulary: tokens there are.
Status check_sampling(const SamplingOptions& options, int vocabulary);

// The filters, in place; what they take out becomes -infinity. Source of their semantics: mlx_lm/sample_utils.py
// 0.32.2. Tokens of the same log-probability as the last that top_p keeps are kept as well.
void keep_top_p(std::span<float> logprobs, double top_p);
// Keeps what is at least min_p times as likely as the likeliest, and at least the `keep` likeliest.
void keep_min_p(std::span<float> logprobs, double min_p, int keep);
// Takes out all that are likelier than `threshold` but the least likely of these. Never takes out `special`.
void exclude_top_choices(std::span<float> logprobs, double threshold, std::span<const int32_t> special);
// Of equally likely tokens those of lower ids stay.
void keep_top_k(std::span<float> logprobs, int top_k);

class Sampler {
 public:
  // xtc_special: tokens that XTC never takes out. Options that check_sampling accepts.
  Sampler(const SamplingOptions& options, std::vector<int32_t> xtc_special);

  // Works in place. Of equally likely tokens, temperature 0 takes the one of the lowest id.
  int32_t draw(std::span<float> logprobs);

  // What draw() draws by at a temperature above 0: relative probabilities, after all filters, which work in place.
  std::vector<double> weights(std::span<float> logprobs);

 private:
  // 0 <= x < 1 from 53 random bits: the standard library's distributions differ between platforms.
  double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  SamplingOptions options_;
  std::vector<int32_t> xtc_special_;
  std::mt19937_64 random_;
};

}  // namespace pippin

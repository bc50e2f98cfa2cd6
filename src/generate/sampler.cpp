#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr float nothing = -std::numeric_limits<float>::infinity();

tl::unexpected<Error> out_of_range(const char* rule, const std::string& value) {
  return fail(ErrorTag::usage, rule, value);
}

bool within(double value, double low, double high) {
  return value >= low && value <= high;
}

uint64_t seed_of(const SamplingOptions& options) {
  if (options.seed) return *options.seed;
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

Status check_sampling(const SamplingOptions& o, int vocabulary) {
  if (!(o.temperature >= 0) || !std::isfinite(o.temperature))
    return out_of_range("a temperature is 0 or more", fmt::format("{}", o.temperature));
  if (!within(o.top_p, 0, 1)) return out_of_range("top-p lies between 0 and 1", fmt::format("{}", o.top_p));
  if (!within(o.min_p, 0, 1)) return out_of_range("min-p lies between 0 and 1", fmt::format("{}", o.min_p));
  if (o.min_tokens_to_keep < 1 || o.min_tokens_to_keep > vocabulary)
    return out_of_range("min-tokens-to-keep lies between 1 and the vocabulary's size",
                        fmt::format("{}", o.min_tokens_to_keep));
  if (o.top_k < 0 || o.top_k >= vocabulary)
    return out_of_range("top-k lies between 0 and the vocabulary's size",
                        fmt::format("{}, of {} tokens", o.top_k, vocabulary));
  if (!within(o.xtc_probability, 0, 1))
    return out_of_range("the XTC probability lies between 0 and 1", fmt::format("{}", o.xtc_probability));
  if (!within(o.xtc_threshold, 0, 0.5))
    return out_of_range("the XTC threshold lies between 0 and 0.5", fmt::format("{}", o.xtc_threshold));
  if (!(o.repetition_penalty >= 0) || !std::isfinite(o.repetition_penalty))
    return out_of_range("a repetition penalty is 0 or more", fmt::format("{}", o.repetition_penalty));
  if (!std::isfinite(o.presence_penalty) || !std::isfinite(o.frequency_penalty))
    return out_of_range("penalties are finite", fmt::format("{}, {}", o.presence_penalty, o.frequency_penalty));
  for (const auto& [id, bias] : o.logit_bias) {
    if (id < 0 || id >= vocabulary || std::isnan(bias))
      return out_of_range("a logit bias belongs to a token of the vocabulary",
                          fmt::format("{}: {}, of {} tokens", id, bias, vocabulary));
  }
  return {};
}

void keep_top_p(std::span<float> logprobs, double top_p) {
  double total = 0;
  for (const float x : logprobs) total += std::exp(x);
  std::vector<float> sorted(logprobs.begin(), logprobs.end());
  double above = 0;
  size_t at = 0;
  // The likeliest few are mostly enough: sorting all of a large vocabulary takes longer than a small model.
  for (size_t room = 512; at < sorted.size() && above < top_p * total; room *= 8) {
    const size_t end = std::min(at + room, sorted.size());
    const auto begin = sorted.begin() + static_cast<std::ptrdiff_t>(at);
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(end);
    std::partial_sort(begin, middle, sorted.end(), std::greater<>());
    for (; at < end && above < top_p * total; ++at) above += std::exp(sorted[at]);
  }
  const float threshold = sorted[at - 1];
  for (float& x : logprobs) {
    if (x < threshold) x = nothing;
  }
}

void keep_min_p(std::span<float> logprobs, double min_p, int keep) {
  std::vector<float> sorted(logprobs.begin(), logprobs.end());
  std::nth_element(sorted.begin(), sorted.begin() + (keep - 1), sorted.end(), std::greater<>());
  const float kept = sorted[static_cast<size_t>(keep) - 1];
  const float top = *std::max_element(logprobs.begin(), logprobs.end());
  const float threshold = std::min(top + static_cast<float>(std::log(min_p)), keep > 1 ? kept : top);
  for (float& x : logprobs) {
    if (x < threshold) x = nothing;
  }
}

void exclude_top_choices(std::span<float> logprobs, double threshold, std::span<const int32_t> special) {
  const float top = *std::max_element(logprobs.begin(), logprobs.end());
  float total = 0;
  for (const float x : logprobs) total += std::exp(x - top);
  float least = std::numeric_limits<float>::infinity();
  std::vector<float> probabilities(logprobs.size());
  for (size_t k = 0; k < logprobs.size(); ++k) {
    probabilities[k] = std::exp(logprobs[k] - top) / total;
    if (probabilities[k] > static_cast<float>(threshold)) least = std::min(least, probabilities[k]);
  }
  for (const int32_t id : special) {
    if (id >= 0 && static_cast<size_t>(id) < probabilities.size()) probabilities[static_cast<size_t>(id)] = 0;
  }
  for (size_t k = 0; k < logprobs.size(); ++k) {
    if (probabilities[k] > least) logprobs[k] = nothing;
  }
}

void keep_top_k(std::span<float> logprobs, int top_k) {
  if (static_cast<size_t>(top_k) >= logprobs.size()) return;
  std::vector<int32_t> order(logprobs.size());
  std::iota(order.begin(), order.end(), 0);
  std::nth_element(order.begin(), order.begin() + top_k, order.end(), [&](int32_t a, int32_t b) {
    const float x = logprobs[static_cast<size_t>(a)];
    const float y = logprobs[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (auto it = order.begin() + top_k; it != order.end(); ++it) logprobs[static_cast<size_t>(*it)] = nothing;
}

Sampler::Sampler(const SamplingOptions& options, std::vector<int32_t> xtc_special)
    : options_(options), xtc_special_(std::move(xtc_special)), random_(seed_of(options)) {}

std::vector<double> Sampler::weights(std::span<float> logprobs) {
  if (options_.top_p > 0 && options_.top_p < 1) keep_top_p(logprobs, options_.top_p);
  if (options_.min_p > 0) keep_min_p(logprobs, options_.min_p, options_.min_tokens_to_keep);
  if (options_.xtc_probability > 0 && uniform() <= options_.xtc_probability)
    exclude_top_choices(logprobs, options_.xtc_threshold, xtc_special_);
  if (options_.top_k > 0) keep_top_k(logprobs, options_.top_k);
  const double top = *std::max_element(logprobs.begin(), logprobs.end());
  std::vector<double> weights(logprobs.size());
  for (size_t k = 0; k < logprobs.size(); ++k)
    weights[k] = std::exp((static_cast<double>(logprobs[k]) - top) / options_.temperature);
  return weights;
}

int32_t Sampler::draw(std::span<float> logprobs) {
  const auto likeliest = std::max_element(logprobs.begin(), logprobs.end());
  if (options_.temperature == 0) return static_cast<int32_t>(likeliest - logprobs.begin());
  const std::vector<double> weights = this->weights(logprobs);
  double total = 0;
  for (const double weight : weights) total += weight;
  double rest = uniform() * total;
  int32_t last = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (!(weights[k] > 0)) continue;
    last = static_cast<int32_t>(k);
    rest -= weights[k];
    if (rest < 0) break;
  }
  return last;
}

}  // namespace pippin

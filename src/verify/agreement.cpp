#include "verify/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pippin {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// NaN and +infinity make a row useless; -infinity does not.
bool is_usable(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float x) { return x < infinity; }) &&
         std::any_of(row.begin(), row.end(), [](float x) { return x > -infinity; });
}

double log_of_sum(std::span<const float> row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

double divergence(std::span<const float> expected, std::span<const float> model) {
  const double log_expected = log_of_sum(expected);
  const double log_model = log_of_sum(model);
  double sum = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    if (expected[k] == -infinity) continue;
    const double p = expected[k] - log_expected;
    sum += std::exp(p) * (p - (model[k] - log_model));
  }
  return std::max(0.0, sum);  // rounding may leave a little below zero
}

size_t bin_of(double difference) {
  constexpr auto last = static_cast<double>(DifferenceHistogram().size() - 1);
  if (difference <= 0) return 0;
  return static_cast<size_t>(std::clamp(std::floor((std::log10(difference) + 9) * 2), 0.0, last));
}

}  // namespace

void LogitMeter::add(std::span<const float> expected, std::span<const float> model) {
  if (expected.empty() || expected.size() != model.size() || !is_usable(expected) || !is_usable(model)) {
    ++sums_.nonfinite_rows;
    return;
  }
  for (size_t k = 0; k < expected.size(); ++k) {
    const double difference = expected[k] == model[k] ? 0 : std::abs(double{model[k]} - double{expected[k]});
    sums_.largest_difference = std::max(sums_.largest_difference, difference);
    sums_.mean_difference += difference;
    ++sums_.histogram[bin_of(difference)];
  }
  const double kl = divergence(expected, model);
  sums_.mean_kl += kl;
  sums_.largest_kl = std::max(sums_.largest_kl, kl);
  same_top_ += std::max_element(expected.begin(), expected.end()) - expected.begin() ==
                       std::max_element(model.begin(), model.end()) - model.begin()
                   ? 1
                   : 0;
  values_ += expected.size();
  ++sums_.rows;
}

void LogitMeter::add(const LogitMeter& other) {
  sums_.rows += other.sums_.rows;
  sums_.largest_difference = std::max(sums_.largest_difference, other.sums_.largest_difference);
  sums_.mean_difference += other.sums_.mean_difference;
  sums_.mean_kl += other.sums_.mean_kl;
  sums_.largest_kl = std::max(sums_.largest_kl, other.sums_.largest_kl);
  sums_.nonfinite_rows += other.sums_.nonfinite_rows;
  for (size_t k = 0; k < sums_.histogram.size(); ++k) sums_.histogram[k] += other.sums_.histogram[k];
  same_top_ += other.same_top_;
  values_ += other.values_;
}

LogitAgreement LogitMeter::result() const {
  LogitAgreement result = sums_;
  const auto rows = static_cast<double>(std::max<uint64_t>(1, sums_.rows));
  result.mean_difference /= static_cast<double>(std::max<uint64_t>(1, values_));
  result.mean_kl /= rows;
  result.top1 = sums_.rows == 0 ? 0 : static_cast<double>(same_top_) / rows;
  return result;
}

void LayerMeter::add(std::span<const float> expected, std::span<const float> model) {
  for (size_t k = 0; k < expected.size(); ++k) {
    const double x = expected[k];
    const double difference = std::abs(model[k] - x);
    if (!std::isfinite(x) || !std::isfinite(difference)) {
      finite_ = false;
      continue;
    }
    largest_ = std::max(largest_, difference);
    squared_ += difference * difference;
    expected_squared_ += x * x;
  }
}

LayerAgreement LayerMeter::result(int layer) const {
  constexpr double without_bound = std::numeric_limits<double>::infinity();
  if (!finite_ || (expected_squared_ == 0 && squared_ > 0)) return {layer, without_bound, largest_};
  return {layer, squared_ > 0 ? std::sqrt(squared_ / expected_squared_) : 0, largest_};
}

double surprise(std::span<const float> logits, int32_t id) {
  return log_of_sum(logits) - logits[static_cast<size_t>(id)];
}

}  // namespace pippin

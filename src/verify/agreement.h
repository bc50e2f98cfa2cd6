// Measures how far a model's logits and layers are from the expected ones. Plain numbers in, plain numbers out.
#pragma once

#include <cstdint>
#include <span>

#include "pippin/behaviour.h"

namespace pippin {

class LogitMeter {
 public:
  // One position's logits on both sides, of the same size. -infinity is a logit (a token that cannot come).
  void add(std::span<const float> expected, std::span<const float> model);
  void add(const LogitMeter& other);
  [[nodiscard]] LogitAgreement result() const;

 private:
  LogitAgreement sums_;  // mean_difference and mean_kl are sums here
  uint64_t same_top_ = 0;
  uint64_t values_ = 0;
};

class LayerMeter {
 public:
  void add(std::span<const float> expected, std::span<const float> model);
  [[nodiscard]] LayerAgreement result(int layer) const;

 private:
  double squared_ = 0;
  double expected_squared_ = 0;
  double largest_ = 0;
  bool finite_ = true;
};

// -log softmax(logits)[id], in double. id lies in the row.
double surprise(std::span<const float> logits, int32_t id);

}  // namespace pippin

// A model's values, as they come, against a recording.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pippin/behaviour.h"
#include "verify/agreement.h"
#include "verify/recording.h"

namespace pippin {

// Holds a few MB, whatever the sizes: the recording is read piece by piece.
class RecordedAgreement {
 public:
  // The recording outlives the object.
  explicit RecordedAgreement(const Recording& expected);

  // Rows [first, first + values.size() / width) of the prompt's logits. What was not recorded is passed over. Errors:
  // mismatch where the widths differ.
  Status add_logits(size_t prompt, int64_t first, std::span<const float> values, int64_t width);
  // All rows of a layer.
  Status add_layer(size_t prompt, int layer, std::span<const float> values);

  // The figures; nothing is judged yet. texts: of the prompts, or empty.
  [[nodiscard]] Agreement result(const std::vector<std::string>& texts) const;

 private:
  void add_surprise(size_t prompt, int64_t row, std::span<const float> expected, std::span<const float> model);

  const Recording& expected_;
  std::vector<LogitMeter> logits_;  // by prompt
  std::map<int, LayerMeter> layers_;
  double expected_surprise_ = 0;
  double surprise_ = 0;
  uint64_t predicted_ = 0;
};

}  // namespace pippin

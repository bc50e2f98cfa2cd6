// Runs a model on tokens and hands out what it computes, piece by piece, as F32.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "pippin/error.h"
#include "runtime/language_model.h"

namespace pippin {

struct RunSinks {
  // What a layer gives, all rows; in order.
  std::function<Status(int layer, std::span<const float> values, int64_t width)> layer;
  // Rows of logits from position `first` on; in order.
  std::function<Status(int64_t first, std::span<const float> values, int64_t width)> logits;
};

struct RunFacts {
  bool is_float32 = true;  // no step of a layer rounds to less
};

// One pass over all ids, with an empty cache. Keeps one layer's output at a time.
Result<RunFacts> run_prompt(const LanguageModel& model, std::span<const int32_t> ids, const RunSinks& sinks);

// The sum of -log p of each token but the first.
Result<double> total_surprise(const LanguageModel& model, std::span<const int32_t> ids);

}  // namespace pippin

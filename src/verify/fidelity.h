// Compares two loaded models, parameter by parameter: the second was converted from the first.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "pippin/error.h"
#include "pippin/verify.h"
#include "plan/loaded_model.h"
#include "source/checkpoint.h"

namespace pippin {

struct FidelityOptions {
  Rounding rounding = Rounding::metal;
  int threads = 0;
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct ModelSide {
  const Checkpoint& checkpoint;
  const LoadedModel& model;
};

// Streams both, block by block, on all threads. The trees must have the same parameters.
Result<std::vector<TensorFidelity>> measure_fidelity(const ModelSide& source, const ModelSide& converted,
                                                     const FidelityOptions& options);

}  // namespace pippin

#include "generate/logits_processors.h"

#include <algorithm>
#include <set>

namespace pippin {
namespace {

// The last `size` tokens; 0 and less: all.
std::span<const int32_t> recent(std::span<const int32_t> seen, int size) {
  const size_t count = size <= 0 ? seen.size() : std::min(seen.size(), static_cast<size_t>(size));
  return seen.last(count);
}

}  // namespace

bool has_logits_processors(const SamplingOptions& o) {
  return !o.logit_bias.empty() || o.repetition_penalty != 0 || o.presence_penalty != 0 || o.frequency_penalty != 0;
}

void process_logits(const SamplingOptions& o, std::span<const int32_t> seen, std::span<float> logits) {
  const auto at = [&](int32_t id) -> float* {
    return id >= 0 && static_cast<size_t>(id) < logits.size() ? &logits[static_cast<size_t>(id)] : nullptr;
  };
  for (const auto& [id, bias] : o.logit_bias) {
    if (float* x = at(id)) *x += static_cast<float>(bias);
  }
  if (o.repetition_penalty != 0) {
    const auto penalty = static_cast<float>(o.repetition_penalty);
    const auto tokens = recent(seen, o.repetition_context_size);
    for (const int32_t id : std::set<int32_t>(tokens.begin(), tokens.end())) {
      if (float* x = at(id)) *x = *x < 0 ? *x * penalty : *x / penalty;
    }
  }
  if (o.presence_penalty != 0) {
    const auto tokens = recent(seen, o.presence_context_size);
    for (const int32_t id : std::set<int32_t>(tokens.begin(), tokens.end())) {
      if (float* x = at(id)) *x -= static_cast<float>(o.presence_penalty);
    }
  }
  if (o.frequency_penalty != 0) {
    for (const int32_t id : recent(seen, o.frequency_context_size)) {
      if (float* x = at(id)) *x -= static_cast<float>(o.frequency_penalty);
    }
  }
}

}  // namespace pippin

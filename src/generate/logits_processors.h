// What is done to logits before a token is chosen. Source of the semantics: mlx_lm/sample_utils.py 0.32.2.
#pragma once

#include <cstdint>
#include <span>

#include "pippin/generate.h"

namespace pippin {

// Whether the options ask for any.
bool has_logits_processors(const SamplingOptions& options);

// Logit bias, then repetition, presence and frequency penalty, in place. seen: the tokens so far, the prompt's
// included. Options that check_sampling accepts; ids outside of the vocabulary are passed over.
void process_logits(const SamplingOptions& options, std::span<const int32_t> seen, std::span<float> logits);

}  // namespace pippin

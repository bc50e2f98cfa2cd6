// What both models are run on: prompts and a text, as token ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pippin/behaviour.h"
#include "pippin/error.h"

namespace pippin {

inline constexpr size_t most_prompt_tokens = 512;

struct TokenSequences {
  std::vector<std::string> texts;  // of the prompts; empty where they are fixed ids
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<int32_t>> windows;  // of the text
};

// vocabulary, context: of the source; a context of 0 is unknown.
Result<TokenSequences> token_sequences(const BehaviourOptions& options, int vocabulary, int context,
                                       std::vector<std::string>& warnings);

// Errors (usage): longer than most_prompt_tokens or the context; ids outside of the vocabulary.
Status check_sequence(const std::vector<int32_t>& ids, const std::string& what, int vocabulary, int context);

}  // namespace pippin

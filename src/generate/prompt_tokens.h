// A prompt as token ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generate/model_parts.h"
#include "pippin/error.h"
#include "pippin/generate.h"

namespace pippin {

// The text that the model reads: rendered by its chat template, if the prompt wants it and the model has one.
struct PromptText {
  std::string text;
  bool is_rendered = false;  // the template has put special tokens into it
};
Result<PromptText> prompt_text(const Model::Parts& model, const Prompt& prompt);

// Errors (usage): ids outside of the vocabulary, an empty prompt, text that is not UTF-8, what the template refuses.
Result<std::vector<int32_t>> prompt_tokens(const Model::Parts& model, const Prompt& prompt);

}  // namespace pippin

// What a Model is made of.
#pragma once

#include <optional>
#include <utility>

#include "pippin/generate.h"
#include "runtime/language_model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pippin {

struct Model::Parts {
  LanguageModel language;
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;
};

}  // namespace pippin

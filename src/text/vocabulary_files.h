// Tokenizers in the older form: vocab.json and merges.txt, and a class that says how text is cut before the merges.
#pragma once

#include <filesystem>
#include <string>

#include "pippin/error.h"
#include "text/token_settings.h"

namespace pippin {

// The content that tokenizer.json would have. Knows the classes GPT2Tokenizer and Qwen2Tokenizer; any other is an Error
// (unsupported). Special tokens that the class has by default are added to settings where they name none.
Result<std::string> tokenizer_from_vocabulary(const std::filesystem::path& folder, TokenSettings& settings);

}  // namespace pippin

// Which class of transformers reads a folder's tokenizer.model: what the folder says, and what the model's type has.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

enum class TokenizerClass {
  generic,  // TokenizersBackend
  llama,    // LlamaTokenizer
  gemma,    // GemmaTokenizer
};

// Any other class, and one with code of its own, is an Error (unsupported). tokenizer_config: the content of
// tokenizer_config.json; config.json is read too. Source: AutoTokenizer of transformers 5.23.
Result<TokenizerClass> tokenizer_class_of(const std::filesystem::path& folder,
                                          const nlohmann::ordered_json& tokenizer_config);

}  // namespace pippin

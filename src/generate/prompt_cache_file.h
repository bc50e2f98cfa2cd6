// Keys and values of a prompt in a file. The format is mlx_lm's: safetensors with the state of one cache a layer ("0.0"
// keys, "0.1" values, "0.2" offset), the caches' classes and the model's name in the metadata. pippin adds the tokens
// and a mark of the model, which mlx_lm passes over.
// Source: save_prompt_cache and load_prompt_cache of mlx_lm/models/cache.py 0.32.2.
#pragma once

#include <filesystem>
#include <string>

#include "generate/token_context.h"
#include "pippin/error.h"

namespace pippin {

struct CacheFileTexts {
  std::string model;      // its name
  std::string eos_token;  // a token that ends answers; empty: none
};

// Errors of what mlx_lm has no form for, before anything is computed.
Status check_cache_kind(const LanguageModel& model, const GenerateOptions& options);

// Writes beside the path first: a file of that name is replaced only by a whole one.
Status write_prompt_cache(const std::filesystem::path& path, const TokenContext& context, const CacheFileTexts& texts);

struct StoredContext {
  TokenContext context;
  std::string eos_token;
};

// Reads what this or mlx_lm.cache_prompt wrote. Tokens of mlx_lm's files are not known: they count as -1.
Result<StoredContext> read_prompt_cache(const std::filesystem::path& path, const LanguageModel& model,
                                        const std::string& model_name, const GenerateOptions& options);

Result<std::string> model_of_prompt_cache(const std::filesystem::path& path);

}  // namespace pippin

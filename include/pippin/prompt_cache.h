// A prompt that was read before, kept for many answers: in memory, and in files that mlx_lm reads and writes too
// (mlx_lm.cache_prompt, mlx_lm.generate --prompt-cache-file).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "pippin/error.h"
#include "pippin/generate.h"

namespace pippin {

// What the options say of keys and values (max_kv_size, kv_bits, kv_group_size, quantized_kv_start) is fixed when a
// cache is made or opened. Used by one thread at a time; the model must outlive it.
class PromptCache {
 public:
  // Reads the prompt. Errors: as stream(); unsupported where mlx_lm has no form for such a cache: quantized and of
  // limited size, or quantized keys that hold the values as well (DeepSeek). A run that is cancelled is interrupted.
  static Result<PromptCache> of(const Model& model, const Prompt& prompt, const GenerateOptions& options);

  // Opens a file. model_name: how the model is called, as in save(). A file of pippin's belongs to the same weights
  // whatever the name; one of mlx_lm's to the same name. Errors: not_found, bad_file, mismatch (another model, or other
  // shapes), unsupported (caches of a kind that pippin has not), usage (options that contradict the file).
  static Result<PromptCache> open(const Model& model, const std::filesystem::path& file, const std::string& model_name,
                                  const GenerateOptions& options);
  // The model's name that a file tells.
  static Result<std::string> model_of(const std::filesystem::path& file);

  PromptCache(PromptCache&&) noexcept;
  PromptCache& operator=(PromptCache&&) noexcept;
  ~PromptCache();

  // Writes a file; one that is there is replaced in one step. Gives its path, which ends in .safetensors. eos_token: a
  // token that ends answers, or empty.
  [[nodiscard]] Result<std::filesystem::path> save(const std::filesystem::path& file, const std::string& model_name,
                                                   const std::string& eos_token = {}) const;

  // That were read; 1 where a file of mlx_lm's does not tell, as those of models without attention.
  [[nodiscard]] int tokens() const;
  [[nodiscard]] double seconds() const;  // that reading took; 0 for a file

  // An answer to what was read and this prompt, mostly a PromptPart::continuation. The cache stays as it is.
  [[nodiscard]] Result<Generation> stream(const Prompt& prompt, const GenerateOptions& options,
                                          const OnSegment& on_segment = {}) const;

 private:
  struct State;
  explicit PromptCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pippin

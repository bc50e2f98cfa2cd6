// A model that computes logits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <mlx/array.h>
#include <mlx/device.h>
#include <nlohmann/json.hpp>

#include "pippin/error.h"
#include "runtime/kv_cache.h"

namespace pippin {

class Decoder;

struct LoadOptions {
  std::vector<std::filesystem::path> arch;  // spec files or folders that go before the built-in ones
  std::string arch_name;                    // use this spec whatever config.json says
  bool own_kernels = true;                  // on the CPU: pippin's kernels instead of MLX's
  bool check_memory = true;                 // refuse what does not fit into the memory there is
};

// Called with the values of a decoder's named steps, in the order of computation: "layers.3.attended".
// layer: -1 before and after the layers.
using StepObserver = std::function<void(int layer, const std::string& step, const mlx::core::array& value)>;

class LanguageModel {
 public:
  // Loads a folder in MLX format, or a published checkpoint, whose conversion is then planned and done in memory.
  // Weights are loaded lazily. Errors: unsupported where the model's spec has no [decoder]; mismatch where tensors are
  // missing; no_space where the weights do not fit into the memory.
  static Result<LanguageModel> load(const std::filesystem::path& folder, const LoadOptions& options = {});

  LanguageModel(LanguageModel&&) noexcept;
  LanguageModel& operator=(LanguageModel&&) noexcept;
  ~LanguageModel();

  [[nodiscard]] KvCache make_cache(const CacheOptions& options = {}) const;

  // Token ids int32 [batch, length] -> logits [batch, length, vocabulary] in the model's dtype, not yet evaluated.
  // With `last_only`, of the last position only: [batch, 1, vocabulary]. The cache takes the tokens in; all its
  // sequences have the same length. Ids lie in the vocabulary, which is the caller's word. Not from two threads at a
  // time.
  [[nodiscard]] Result<mlx::core::array> forward(const mlx::core::array& ids, KvCache& cache, bool last_only = false,
                                                 const StepObserver* observer = nullptr) const;

  [[nodiscard]] const nlohmann::ordered_json& config() const;
  [[nodiscard]] const std::filesystem::path& folder() const;
  [[nodiscard]] const std::string& spec() const;  // "mlx_lm/llama"
  [[nodiscard]] int layers() const;
  [[nodiscard]] int vocabulary_size() const;  // rows of the embedding
  [[nodiscard]] int context_length() const;   // max_position_embeddings, or 0 where config.json does not say
  [[nodiscard]] uint64_t weight_bytes() const;

 private:
  struct Parts;
  explicit LanguageModel(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pippin

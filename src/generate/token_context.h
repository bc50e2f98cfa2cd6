// The tokens that a model has read, and the keys and values it keeps of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include <mlx/array.h>

#include "pippin/error.h"
#include "pippin/generate.h"
#include "runtime/language_model.h"

namespace pippin {

class TokenContext {
 public:
  // The model must outlive the context.
  TokenContext(const LanguageModel& model, const GenerateOptions& options);
  // With a cache that was filled elsewhere with these tokens; ids may be unknown (negative). options: of the cache,
  // with bits that it may not have yet.
  TokenContext(const LanguageModel& model, CacheOptions options, KvCache cache, std::vector<int32_t> tokens);

  // Reads tokens and gives the logits of the last `count` of them: [1, count, vocabulary], not yet evaluated.
  Result<mlx::core::array> read(std::span<const int32_t> ids, int count = 1);
  // The same for one token that is not known yet: int32 [1, 1]. Its place among tokens() is told by learn().
  Result<mlx::core::array> read_unknown(const mlx::core::array& id);
  void learn(size_t place, int32_t id) { tokens_[place] = id; }
  // Computes the keys and values of what was read, without logits, a layer at a time. What `cancelled` leaves out is
  // computed when it is needed.
  Status settle(const std::atomic<bool>* cancelled = nullptr);

  // Forgets all but the first `size` tokens; where the cache cannot, all of them.
  Status shorten(size_t size);

  [[nodiscard]] const std::vector<int32_t>& tokens() const { return tokens_; }
  [[nodiscard]] const KvCache& cache() const { return cache_; }
  [[nodiscard]] const LanguageModel& model() const { return *model_; }

 private:
  Status quantize_when_due();

  const LanguageModel* model_;
  CacheOptions options_;
  bool is_quantized_ = false;
  KvCache cache_;
  std::vector<int32_t> tokens_;
};

CacheOptions cache_options(const GenerateOptions& options);

// How many tokens are the same from the start.
size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b);

}  // namespace pippin

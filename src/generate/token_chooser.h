// From logits to a token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <mlx/array.h>

#include "generate/sampler.h"
#include "pippin/error.h"

namespace pippin {

class TokenChooser {
 public:
  // Options that check_sampling accepts. xtc_special: see Sampler.
  TokenChooser(const SamplingOptions& options, std::vector<int32_t> xtc_special);

  // logits [1, 1, vocabulary]; seen: all tokens before the one to choose. Waits for the logits.
  Result<int32_t> choose(const mlx::core::array& logits, std::span<const int32_t> seen);

  // Whether choose() is no more than likeliest(), which needs no waiting.
  [[nodiscard]] bool takes_likeliest() const;
  // int32 [1, 1], not yet evaluated.
  static Result<mlx::core::array> likeliest(const mlx::core::array& logits);

 private:
  SamplingOptions options_;
  Sampler sampler_;
};

}  // namespace pippin

// Speculative decoding (Leviathan et al. 2022, arXiv:2211.17192) in the form of mlx_lm 0.32.2: a drafted token is taken
// where the model itself chooses the same.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "generate/token_source.h"

namespace pippin {

// A small model drafts tokens; the model checks all of them in one pass. Without sampling the tokens are those of
// PlainTokens, but for the rounding of a pass over several tokens.
class SpeculativeTokens : public TokenSource {
 public:
  // All outlive the object. The context's tokens are known. most: tokens that may be asked for.
  SpeculativeTokens(TokenContext& context, TokenContext& draft, TokenChooser& chooser, const GenerateOptions& options,
                    int most)
      : context_(context), draft_(draft), chooser_(chooser), options_(options), left_(most) {}

  Status start(std::span<const int32_t> prompt) override;
  Result<int32_t> next() override;
  Status finish() override;

  [[nodiscard]] int drafted() const { return drafted_; }
  [[nodiscard]] int accepted() const { return accepted_; }

 private:
  Result<std::vector<int32_t>> draft();
  Status check(const std::vector<int32_t>& drafted);

  TokenContext& context_;
  TokenContext& draft_;
  TokenChooser& chooser_;
  const GenerateOptions& options_;
  int left_;
  std::vector<int32_t> all_;   // read and chosen, in order
  std::deque<int32_t> ready_;  // the last of all_, not yet given
  int drafted_ = 0;
  int accepted_ = 0;
};

// Errors (usage) where the draft model cannot draft for the model: another vocabulary, keys that cannot be forgotten
// again (max_kv_size), tokens that are not known (a prompt cache of mlx_lm's).
Status check_draft(const Model::Parts& model, const Model::Parts& draft, const TokenContext& context,
                   const GenerateOptions& options);

}  // namespace pippin

// Where the tokens of an answer come from, one after the other.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include <mlx/array.h>

#include "generate/token_chooser.h"
#include "generate/token_context.h"
#include "pippin/error.h"

namespace pippin {

class TokenSource {
 public:
  TokenSource() = default;
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;
  virtual ~TokenSource() = default;

  // Reads the prompt, which is not empty, but for its last token. Stops early where the options' flag says so.
  virtual Status start(std::span<const int32_t> prompt) = 0;
  // The next token of the answer; not after an error.
  virtual Result<int32_t> next() = 0;
  // Afterwards the context has the prompt and all tokens given but the last.
  virtual Status finish() = 0;
};

// Reads ids into the context in steps, and waits for each.
Status read_in_steps(TokenContext& context, std::span<const int32_t> ids, const GenerateOptions& options);

// One token at a time from one model.
class PlainTokens : public TokenSource {
 public:
  // ahead: begins with the next token before this one is known here, so that a GPU never waits. All outlive the object.
  PlainTokens(TokenContext& context, TokenChooser& chooser, const GenerateOptions& options, bool ahead)
      : context_(context), chooser_(chooser), options_(options), ahead_(ahead && chooser.takes_likeliest()) {}
  // Waits for what was begun: nothing computes on when a program ends.
  ~PlainTokens() override;

  Status start(std::span<const int32_t> prompt) override;
  Result<int32_t> next() override;
  Status finish() override;

 private:
  Result<int32_t> next_ahead();

  TokenContext& context_;
  TokenChooser& chooser_;
  const GenerateOptions& options_;
  bool ahead_;
  int32_t last_ = 0;                         // given, or the prompt's last; not yet in the context
  std::optional<mlx::core::array> pending_;  // chosen, but not known here
};

}  // namespace pippin

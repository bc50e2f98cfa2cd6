#include "generate/token_source.h"

#include <algorithm>

#include <mlx/memory.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"

namespace pippin {

namespace mx = mlx::core;

Status read_in_steps(TokenContext& context, std::span<const int32_t> ids, const GenerateOptions& options) {
  const size_t step = static_cast<size_t>(std::max(options.prefill_step, 1));
  for (size_t at = 0; at < ids.size(); at += step) {
    if (options.cancelled != nullptr && options.cancelled->load()) return {};
    PIPPIN_CHECK(context.read(ids.subspan(at, std::min(step, ids.size() - at))));
    PIPPIN_CHECK(context.settle(options.cancelled));
    mx::clear_cache();
    if (options.prompt_progress)
      options.prompt_progress(static_cast<int>(std::min(at + step, ids.size())), static_cast<int>(ids.size()) + 1);
  }
  return {};
}

PlainTokens::~PlainTokens() {
  if (pending_) static_cast<void>(guarded("waiting for a token", [&] { pending_->eval(); }));
}

Status PlainTokens::start(std::span<const int32_t> prompt) {
  last_ = prompt.back();
  return read_in_steps(context_, prompt.first(prompt.size() - 1), options_);
}

Result<int32_t> PlainTokens::next() {
  if (ahead_) return next_ahead();
  PIPPIN_TRY(const mx::array logits, context_.read({&last_, 1}));
  PIPPIN_TRY(last_, chooser_.choose(logits, context_.tokens()));
  return last_;
}

Result<int32_t> PlainTokens::next_ahead() {
  if (!pending_) {
    PIPPIN_TRY(const mx::array logits, context_.read({&last_, 1}));
    PIPPIN_TRY(pending_, TokenChooser::likeliest(logits));
  }
  PIPPIN_TRY(const mx::array logits, context_.read_unknown(*pending_));
  PIPPIN_TRY(mx::array following, TokenChooser::likeliest(logits));
  PIPPIN_TRY(last_, guarded("computing a token", [&] {
               mx::async_eval(following);
               return pending_->item<int32_t>();
             }));
  context_.learn(context_.tokens().size() - 1, last_);
  pending_ = following;
  return last_;
}

Status PlainTokens::finish() {
  if (!pending_) return {};
  return context_.shorten(context_.tokens().size() - 1);
}

}  // namespace pippin

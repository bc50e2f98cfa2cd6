#include "generate/token_chooser.h"

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "generate/logits_processors.h"
#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

std::vector<float> floats_of(const mx::array& values) {
  mx::array wide = mx::contiguous(mx::astype(values, mx::float32));
  mx::eval(wide);
  return {wide.data<float>(), wide.data<float>() + wide.size()};
}

// In the model's own dtype, as the reference computes it: its rounding decides between tokens that are as good as
// equal.
mx::array logprobs_of(const mx::array& logits) {
  return mx::subtract(logits, mx::logsumexp(logits, -1, true));
}

}  // namespace

TokenChooser::TokenChooser(const SamplingOptions& options, std::vector<int32_t> xtc_special)
    : options_(options), sampler_(options, std::move(xtc_special)) {}

Result<int32_t> TokenChooser::choose(const mx::array& logits, std::span<const int32_t> seen) {
  return guarded("choosing a token", [&] {
    mx::array processed = logits;
    if (has_logits_processors(options_)) {
      std::vector<float> values = floats_of(logits);
      process_logits(options_, seen, values);
      processed = mx::astype(mx::array(values.data(), logits.shape(), mx::float32), logits.dtype());
    }
    std::vector<float> logprobs = floats_of(logprobs_of(processed));
    return sampler_.draw(logprobs);
  });
}

bool TokenChooser::takes_likeliest() const {
  return options_.temperature == 0 && !has_logits_processors(options_);
}

Result<mx::array> TokenChooser::likeliest(const mx::array& logits) {
  return guarded("choosing a token", [&] { return mx::astype(mx::argmax(logprobs_of(logits), -1), mx::int32); });
}

}  // namespace pippin

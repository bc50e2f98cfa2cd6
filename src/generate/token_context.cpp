#include "generate/token_context.h"

#include <algorithm>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

// Quantization begins later: until then the cache is a plain one.
CacheOptions plain(CacheOptions options) {
  options.bits.reset();
  return options;
}

}  // namespace

TokenContext::TokenContext(const LanguageModel& model, const GenerateOptions& options)
    : model_(&model), options_(cache_options(options)), cache_(model.make_cache(plain(options_))) {}

TokenContext::TokenContext(const LanguageModel& model, CacheOptions options, KvCache cache, std::vector<int32_t> tokens)
    : model_(&model),
      options_(options),
      is_quantized_(std::any_of(cache.layers().begin(), cache.layers().end(),
                                [](const LayerCache& layer) { return layer.options().bits.has_value(); })),
      cache_(std::move(cache)),
      tokens_(std::move(tokens)) {}

Result<mx::array> TokenContext::read(std::span<const int32_t> ids, int count) {
  const auto length = static_cast<int>(ids.size());
  const mx::array input(ids.data(), {1, length}, mx::int32);
  PIPPIN_TRY(mx::array logits, model_->forward(input, cache_, count == 1));
  tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  PIPPIN_CHECK(quantize_when_due());
  if (count == logits.shape(1)) return logits;
  return guarded("computing logits", [&] {
    return mx::slice(logits, {0, logits.shape(1) - count, 0}, {1, logits.shape(1), logits.shape(2)});
  });
}

Result<mx::array> TokenContext::read_unknown(const mx::array& id) {
  PIPPIN_TRY(mx::array logits, model_->forward(id, cache_, true));
  tokens_.push_back(-1);
  PIPPIN_CHECK(quantize_when_due());
  return logits;
}

Status TokenContext::settle(const std::atomic<bool>* cancelled) {
  return guarded("reading the prompt", [&] {
    for (const LayerCache& layer : cache_.layers()) {
      if (cancelled != nullptr && cancelled->load()) return;
      mx::eval(layer.arrays());
    }
  });
}

Status TokenContext::shorten(size_t size) {
  if (size >= tokens_.size()) return {};
  const auto surplus = static_cast<int>(tokens_.size() - size);
  if (size > 0 && cache_.trim(surplus)) {
    tokens_.resize(size);
    return {};
  }
  cache_ = model_->make_cache(is_quantized_ ? options_ : plain(options_));
  tokens_.clear();
  return {};
}

Status TokenContext::quantize_when_due() {
  if (!options_.bits || is_quantized_ || cache_.offset() < options_.quantized_start) return {};
  is_quantized_ = true;
  return guarded("quantizing keys and values", [&] {
    KvCache packed = model_->make_cache(options_);
    for (size_t slot = 0; slot < cache_.size(); ++slot) packed.layer(slot).take_over(cache_.layer(slot));
    cache_ = std::move(packed);
  });
}

CacheOptions cache_options(const GenerateOptions& options) {
  return {options.max_kv_size, options.kv_bits, options.kv_group_size, options.quantized_kv_start};
}

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace pippin

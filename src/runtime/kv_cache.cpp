#include "runtime/kv_cache.h"

#include <algorithm>

#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int step = 256;  // tokens by which room grows
constexpr int kept_first = 4;

// Tokens begin <= t < end of [batch, heads, tokens, dim].
mx::array tokens(const mx::array& x, int begin, int end) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from[2] = begin;
  to[2] = end;
  return mx::slice(x, from, to);
}

}  // namespace

// Quantized stores keep what mx.quantize gives, so that a token's share is its own.
void LayerCache::grow(Store& store, const mx::array& like, int more) {
  std::vector<mx::array> samples{like};
  if (packs(like)) samples = mx::quantize(like, options_.group_size, *options_.bits);
  const int room = (length_ + more + step - 1) / step * step;
  std::vector<mx::array> grown;
  for (size_t k = 0; k < samples.size(); ++k) {
    mx::Shape shape = samples[k].shape();
    shape[2] = room;
    mx::array fresh = mx::zeros(shape, samples[k].dtype());
    if (length_ > 0) {
      mx::Shape end = shape;
      end[2] = length_;
      fresh = mx::slice_update(fresh, tokens(store.parts[k], 0, length_), mx::Shape(4, 0), end);
    }
    grown.push_back(fresh);
  }
  store.parts = std::move(grown);
}

void LayerCache::put(Store& store, const mx::array& added) {
  std::vector<mx::array> parts{added};
  if (packs(added)) parts = mx::quantize(added, options_.group_size, *options_.bits);
  const int count = added.shape(2);
  for (size_t k = 0; k < parts.size(); ++k) {
    mx::Shape from(4, 0);
    mx::Shape to = store.parts[k].shape();
    from[2] = length_;
    to[2] = length_ + count;
    // Nothing else holds the old array, so that MLX writes into its memory.
    store.parts[k] = mx::slice_update(store.parts[k], parts[k], from, to);
  }
}

mx::array LayerCache::used(const Store& store) const {
  if (store.parts.size() == 1) return tokens(store.parts[0], 0, length_);
  return mx::dequantize(tokens(store.parts[0], 0, length_), tokens(store.parts[1], 0, length_),
                        tokens(store.parts[2], 0, length_), options_.group_size, *options_.bits, "affine", std::nullopt,
                        dtype_);
}

void LayerCache::append(const mx::array& keys, const mx::array& values) {
  const int count = keys.shape(2);
  dtype_ = keys.dtype();
  forget_old();
  if (length_ + count > room_) {
    grow(keys_, keys, count);
    grow(values_, values, count);
    room_ = (length_ + count + step - 1) / step * step;
  }
  put(keys_, keys);
  put(values_, values);
  length_ += count;
  seen_ += count;
}

void LayerCache::append(const mx::array& keys) {
  mx::Shape no_width = keys.shape();
  no_width[3] = 0;
  append(keys, mx::slice(keys, mx::Shape(4, 0), no_width));
}

void LayerCache::append_groups(const mx::array& rows, int tokens) {
  const int seen = seen_ + tokens;
  has_groups_ = true;
  if (rows.shape(2) > 0) append(rows);
  seen_ = seen;
}

void LayerCache::append_rows(const mx::array& rows) {
  has_heads_ = false;
  append(mx::expand_dims(rows, 1));
}

std::pair<mx::array, mx::array> LayerCache::kept() const {
  return {used(keys_), used(values_)};
}

std::optional<std::pair<mx::array, mx::array>> LayerCache::stores() const {
  if (keys_.parts.size() != 1 || values_.parts.size() != 1) return std::nullopt;
  return std::pair{keys_.parts[0], values_.parts[0]};
}

// Before tokens come: what none of them will see goes; for windows in steps, so that moving stays rare.
void LayerCache::forget_old() {
  if (options_.max_size) {
    const int limit = std::max(*options_.max_size, kept_first + 1);
    const int surplus = length_ + 1 - limit;
    if (surplus > 0) drop_front(kept_first, surplus);
  }
  if (kind_.window && length_ > *kind_.window + step) drop_front(0, length_ - *kind_.window + 1);
}

void LayerCache::drop_front(int keep_first, int count) {
  const int first = std::min(keep_first, length_);
  count = std::min(count, length_ - first);
  if (count <= 0) return;
  for (Store* store : {&keys_, &values_}) {
    for (auto& part : store->parts) {
      const mx::array rest = tokens(part, first + count, length_);
      part = first > 0 ? mx::concatenate({tokens(part, 0, first), rest}, 2) : mx::contiguous(rest);
    }
  }
  length_ -= count;
  room_ = length_;
  forgotten_ = true;
}

void LayerCache::keep_state(mx::array state, int tokens) {
  state_ = std::move(state);
  seen_ += tokens;
}

void LayerCache::restore_state(mx::array state, int seen) {
  state_ = std::move(state);
  seen_ = seen;
}

bool LayerCache::can_trim(int n) const {
  if (kind_.use == CacheKind::Use::state || has_groups_) return n == 0;
  if (n > length_) return false;
  if (!forgotten_) return true;
  return kind_.window && !options_.max_size && length_ - n >= *kind_.window - 1;
}

void LayerCache::trim(int n) {
  length_ -= n;
  seen_ -= n;
}

std::vector<mx::array> LayerCache::arrays() const {
  std::vector<mx::array> all = keys_.parts;
  all.insert(all.end(), values_.parts.begin(), values_.parts.end());
  if (state_) all.push_back(*state_);
  return all;
}

uint64_t LayerCache::bytes() const {
  uint64_t sum = 0;
  for (const auto& array : arrays()) sum += array.nbytes();
  return sum;
}

void LayerCache::take_over(const LayerCache& other) {
  if (kind_.use == CacheKind::Use::state) {
    state_ = other.state_;
    seen_ = other.seen_;
    return;
  }
  has_groups_ = other.has_groups_;
  seen_ = other.seen_;
  if (other.length_ == 0) return;
  const auto [keys, values] = other.kept();
  restore(keys, values, other.seen_);
}

void LayerCache::restore(const mx::array& keys, const mx::array& values, int seen) {
  keys_ = {};
  values_ = {};
  length_ = 0;
  room_ = 0;
  seen_ = 0;
  append(keys, values);
  seen_ = seen;
  forgotten_ = seen != length_;
}

KeptParts LayerCache::parts() const {
  KeptParts kept;
  for (const auto& part : keys_.parts) kept.keys.push_back(tokens(part, 0, length_));
  for (const auto& part : values_.parts) kept.values.push_back(tokens(part, 0, length_));
  return kept;
}

void LayerCache::restore(KeptParts parts, int seen) {
  length_ = parts.keys.front().shape(2);
  room_ = length_;
  seen_ = seen;
  forgotten_ = seen != length_;
  dtype_ = parts.keys.back().dtype();
  keys_.parts = std::move(parts.keys);
  values_.parts = std::move(parts.values);
}

KvCache::KvCache(const CacheOptions& options, const std::vector<CacheKind>& kinds) {
  for (const auto& kind : kinds) layers_.emplace_back(options, kind);
}

bool KvCache::trim(int n) {
  for (const auto& layer : layers_) {
    if (!layer.can_trim(n)) return false;
  }
  for (auto& layer : layers_) layer.trim(n);
  return true;
}

std::vector<mx::array> KvCache::arrays() const {
  std::vector<mx::array> all;
  for (const auto& layer : layers_) {
    for (auto& array : layer.arrays()) all.push_back(std::move(array));
  }
  return all;
}

uint64_t KvCache::bytes() const {
  uint64_t sum = 0;
  for (const auto& layer : layers_) sum += layer.bytes();
  return sum;
}

}  // namespace pippin

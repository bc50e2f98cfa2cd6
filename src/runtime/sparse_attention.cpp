#include "runtime/sparse_attention.h"

#include <algorithm>

#include <mlx/fast.h>
#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

// From so many rows for each chosen one on it is less work to lay the chosen side by side.
constexpr int many = 4;

mx::array attended(const SparseAttention& attention, const mx::array& q, const mx::array& keys, const mx::array& mask) {
  const mx::array wide = mx::astype(keys, mx::float32);
  return mx::fast::scaled_dot_product_attention(mx::astype(q, mx::float32), wide, wide, attention.scale, "", mask,
                                                attention.sinks);
}

// Places of keys: of query i the last is keys - length + i.
mx::array last_places(const SparseAttention& attention) {
  const int keys = attention.keys.shape(2);
  return mx::expand_dims(mx::arange(keys - attention.q.shape(2), keys), 1);
}

// Bool [length, keys].
mx::array window_mask(const SparseAttention& attention) {
  const mx::array last = last_places(attention);
  const mx::array keys = mx::expand_dims(mx::arange(attention.keys.shape(2)), 0);
  const mx::array first = mx::subtract(last, mx::array(attention.window - 1));
  return mx::logical_and(mx::greater_equal(keys, first), mx::less_equal(keys, last));
}

// Bool [batch, length, rows].
mx::array chosen_mask(const mx::array& chosen, int rows) {
  const mx::array beyond = mx::logical_or(mx::less(chosen, mx::array(0)), mx::greater_equal(chosen, mx::array(rows)));
  const mx::array places = mx::where(beyond, mx::array(rows), chosen);
  const mx::array none = mx::zeros({chosen.shape(0), chosen.shape(1), rows + 1}, mx::bool_);
  return mx::slice(mx::put_along_axis(none, places, mx::array(true), -1), {0, 0, 0},
                   {chosen.shape(0), chosen.shape(1), rows});
}

mx::array masked(const SparseAttention& attention) {
  mx::array keys = attention.keys;
  mx::array mask = window_mask(attention);
  if (attention.rows) {
    const int rows = attention.rows->shape(2);
    keys = mx::concatenate({keys, *attention.rows}, 2);
    const mx::array seen = chosen_mask(*attention.chosen, rows);
    mask = mx::concatenate({mx::broadcast_to(mask, {seen.shape(0), mask.shape(0), mask.shape(1)}), seen}, -1);
    mask = mx::expand_dims(mask, 1);
  }
  return attended(attention, attention.q, keys, mask);
}

// The keys that each query sees, window and chosen rows, by their places in all of them: int32 [batch, length, count],
// -1 for none.
mx::array seen_places(const SparseAttention& attention) {
  const mx::array& chosen = *attention.chosen;
  const int keys = attention.keys.shape(2);
  const int width = std::min(attention.window, keys);
  const mx::array back = mx::expand_dims(mx::arange(width), 0);
  const mx::array near = mx::maximum(mx::subtract(last_places(attention), back), mx::array(-1));
  const mx::array beyond =
      mx::logical_or(mx::less(chosen, mx::array(0)), mx::greater_equal(chosen, mx::array(attention.rows->shape(2))));
  const mx::array far = mx::where(beyond, mx::array(-1), mx::add(chosen, mx::array(keys)));
  return mx::concatenate({mx::broadcast_to(near, {chosen.shape(0), chosen.shape(1), width}), far}, -1);
}

mx::array gathered(const SparseAttention& attention) {
  const mx::array& q = attention.q;
  const int queries = q.shape(0) * q.shape(2);
  const mx::array all = mx::squeeze(mx::concatenate({attention.keys, *attention.rows}, 2), 1);
  const mx::array places = seen_places(attention);
  const mx::array begins = mx::multiply(mx::arange(q.shape(0)), mx::array(all.shape(1)));
  const mx::array safe = mx::add(mx::maximum(places, mx::array(0)), mx::reshape(begins, {q.shape(0), 1, 1}));
  const mx::array own = mx::take(mx::flatten(all, 0, 1), mx::reshape(safe, {queries, 1, -1}), 0);
  const mx::array mask = mx::reshape(mx::greater_equal(places, mx::array(0)), {queries, 1, 1, -1});
  const mx::array single = mx::reshape(mx::transpose(q, {0, 2, 1, 3}), {queries, q.shape(1), 1, q.shape(3)});
  const mx::array out = attended(attention, single, own, mask);
  return mx::transpose(mx::reshape(out, {q.shape(0), q.shape(2), q.shape(1), q.shape(3)}), {0, 2, 1, 3});
}

}  // namespace

mx::array sparse_attention(const SparseAttention& attention) {
  const bool far = attention.rows && attention.rows->shape(2) / many > attention.chosen->shape(2);
  return mx::astype(far ? gathered(attention) : masked(attention), attention.q.dtype());
}

}  // namespace pippin

#include "runtime/sparse_attention.h"

#include <algorithm>
#include <vector>

#include <mlx/fast.h>
#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

// From so many rows for each chosen one on it is less work to lay the chosen side by side.
constexpr int many = 4;
constexpr int together = 256;  // queries

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

// x[batch, places] for places int32 [batch, length, count]; anything where they are negative: [batch * length, 1,
// count, dim].
mx::array rows_at(const mx::array& x, const mx::array& places) {
  const mx::array begins = mx::multiply(mx::arange(x.shape(0)), mx::array(x.shape(2)));
  const mx::array all = mx::add(mx::maximum(places, mx::array(0)), mx::reshape(begins, {x.shape(0), 1, 1}));
  const mx::array flat = mx::reshape(all, {places.shape(0) * places.shape(1), 1, places.shape(2)});
  return mx::take(mx::reshape(x, {x.shape(0) * x.shape(2), x.shape(3)}), flat, 0);
}

mx::array gathered(const SparseAttention& attention) {
  const mx::array& q = attention.q;
  const mx::array& rows = *attention.rows;
  const mx::array back = mx::expand_dims(mx::arange(std::min(attention.window, attention.keys.shape(2))), 0);
  const mx::array window = mx::subtract(last_places(attention), back);
  const mx::array near = mx::broadcast_to(window, {q.shape(0), q.shape(2), back.shape(1)});
  const mx::array is_row = mx::less(*attention.chosen, mx::array(rows.shape(2)));
  const mx::array far = mx::where(is_row, *attention.chosen, mx::array(-1));
  const mx::array keys = mx::concatenate({rows_at(attention.keys, near), rows_at(rows, far)}, 2);
  const mx::array seen = mx::greater_equal(mx::concatenate({near, far}, -1), mx::array(0));
  const int queries = q.shape(0) * q.shape(2);
  const mx::array single = mx::reshape(mx::transpose(q, {0, 2, 1, 3}), {queries, q.shape(1), 1, q.shape(3)});
  const mx::array out = attended(attention, single, keys, mx::reshape(seen, {queries, 1, 1, -1}));
  return mx::transpose(mx::reshape(out, {q.shape(0), q.shape(2), q.shape(1), q.shape(3)}), {0, 2, 1, 3});
}

// Some queries at a time, so that memory stays bounded.
mx::array gathered_in_turn(const SparseAttention& attention) {
  const mx::array& q = attention.q;
  std::vector<mx::array> parts;
  for (int begin = 0; begin < q.shape(2); begin += together) {
    const int end = std::min(begin + together, q.shape(2));
    const mx::array& keys = attention.keys;
    const mx::array& chosen = *attention.chosen;
    SparseAttention part = attention;
    part.q = mx::slice(q, {0, 0, begin, 0}, {q.shape(0), q.shape(1), end, q.shape(3)});
    part.keys = mx::slice(keys, {0, 0, 0, 0}, {keys.shape(0), 1, keys.shape(2) - q.shape(2) + end, keys.shape(3)});
    part.chosen = mx::slice(chosen, {0, begin, 0}, {chosen.shape(0), end, chosen.shape(2)});
    parts.push_back(gathered(part));
  }
  return parts.size() == 1 ? parts[0] : mx::concatenate(parts, 2);
}

}  // namespace

mx::array sparse_attention(const SparseAttention& attention) {
  const bool far = attention.rows && attention.rows->shape(2) / many > attention.chosen->shape(2);
  return mx::astype(far ? gathered_in_turn(attention) : masked(attention), attention.q.dtype());
}

}  // namespace pippin

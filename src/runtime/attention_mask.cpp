#include "runtime/attention_mask.h"

#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

// Positions of the queries as a column and of the keys as a row. Tokens that a limited cache keeps from the beginning
// look like older neighbours: they are seen by all.
mx::array query_positions(const MaskShape& shape) {
  return mx::expand_dims(mx::arange(shape.seen - shape.queries, shape.seen), 1);
}

mx::array key_positions(const MaskShape& shape) {
  return mx::expand_dims(mx::arange(shape.seen - shape.keys, shape.seen), 0);
}

}  // namespace

bool MaskShape::plain_causal() const {
  const bool whole_window = !window || keys <= *window;
  const bool whole_chunk = !chunk || (seen - 1) / *chunk == (seen - keys) / *chunk;
  return causal && whole_window && whole_chunk;
}

std::optional<mx::array> pass_mask(std::map<std::string, mx::array>& made, const MaskShape& shape) {
  if (shape.plain_causal() && shape.queries == 1) return std::nullopt;
  if (!shape.causal) return std::nullopt;
  const std::string key =
      fmt::format("{}/{}/{}/{}", shape.keys, shape.seen, shape.window.value_or(0), shape.chunk.value_or(0));
  if (const auto found = made.find(key); found != made.end()) return found->second;
  const mx::array queries = query_positions(shape);
  const mx::array keys = key_positions(shape);
  mx::array mask = mx::greater_equal(queries, keys);
  if (shape.window) mask = mx::logical_and(mask, mx::less(queries, mx::add(keys, mx::array(*shape.window))));
  if (shape.chunk) {
    const mx::array size(*shape.chunk);
    mask = mx::logical_and(mask, mx::equal(mx::floor_divide(queries, size), mx::floor_divide(keys, size)));
  }
  made.insert_or_assign(key, mask);
  return mask;
}

mx::array block_mask(int heads, const BlockPattern& pattern, const MaskShape& shape) {
  const mx::array queries = query_positions(shape);
  const mx::array keys = key_positions(shape);
  const mx::array size(pattern.size);
  const mx::array own = mx::floor_divide(queries, size);
  const mx::array seen = mx::floor_divide(keys, size);
  const mx::array local = mx::less(mx::subtract(own, seen), mx::array(pattern.local));
  const mx::array head = mx::reshape(mx::arange(1, heads + 1), {1, heads, 1, 1});
  const mx::array strided = mx::equal(mx::remainder(mx::add(seen, head), mx::array(pattern.stride)), mx::array(0));
  return mx::logical_and(mx::logical_or(local, strided), mx::greater_equal(queries, keys));
}

mx::array alibi_slopes(int heads, const MaskShape& shape) {
  const int power = 1 << static_cast<int>(std::floor(std::log2(heads)));
  std::vector<float> slopes;
  for (int h = 0; h < heads; ++h) {
    const double exponent = h < power ? -8.0 * (h + 1) / power : -4.0 * (2 * (h - power) + 1) / power;
    slopes.push_back(static_cast<float>(std::exp2(exponent)));
  }
  const mx::array distance = mx::astype(mx::subtract(key_positions(shape), query_positions(shape)), mx::float32);
  return mx::multiply(mx::array(slopes.begin(), {1, heads, 1, 1}, mx::float32), distance);
}

}  // namespace pippin

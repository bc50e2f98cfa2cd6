#include "runtime/key_blocks.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

mx::array minus_infinity(const mx::array& like) {
  return mx::array(-std::numeric_limits<float>::infinity(), like.dtype());
}

}  // namespace

mx::array block_maxima(const mx::array& scores, int size) {
  const int keys = scores.shape(-1);
  const int blocks = (keys + size - 1) / size;
  std::vector<std::pair<int, int>> room(scores.ndim(), {0, 0});
  room.back().second = blocks * size - keys;
  return mx::max(mx::unflatten(mx::pad(scores, room, minus_infinity(scores)), -1, {blocks, size}), -1);
}

mx::array in_strongest_blocks(const mx::array& strength, int count, int size, const mx::Shape& shape) {
  const int wanted = std::min(count, strength.shape(-1));
  const mx::array order = mx::argpartition(mx::negative(strength), wanted - 1, -1);
  mx::Shape end = order.shape();
  end.back() = wanted;
  const mx::array best = mx::slice(order, mx::Shape(order.ndim(), 0), end);
  const mx::array reached = mx::greater(mx::take_along_axis(strength, best, -1), minus_infinity(strength));
  const mx::array kept = mx::put_along_axis(mx::zeros(order.shape(), mx::bool_), best, reached, -1);
  return mx::slice(mx::repeat(kept, size, -1), mx::Shape(order.ndim(), 0), shape);
}

}  // namespace pippin

// Tokens in groups: keys that stand for several tokens each, and attention that chooses among them (DeepSeek-V4.1).
// Groups are counted from position 0, so that step borders do not matter; only finished ones are kept and looked at.
#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/key_blocks.h"
#include "runtime/operation.h"
#include "runtime/sparse_attention.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int most_members = 1 << 16;  // of a group or a block: what lacks at their ends is filled up
constexpr int most = 1 << 30;

int positive(const OperationSite& site, const char* key, int limit = most) {
  const int value = site.integer(key);
  if (value >= 1 && value <= limit) return value;
  throw Fault({ErrorTag::bad_config,
               fmt::format("{} is a number from 1 to {}", key, limit),
               fmt::format("{}: {}", site.node.op, value),
               "check config.json",
               {}});
}

// The groups that each token of this pass has behind it or ends: int32 [length, 1].
mx::array finished_groups(const Pass& pass, int size) {
  const mx::array tokens = mx::arange(pass.offset + 1, pass.offset + pass.length + 1);
  return mx::expand_dims(mx::floor_divide(tokens, mx::array(size)), 1);
}

mx::array minus_infinity() {
  return mx::array(-std::numeric_limits<float>::infinity());
}

Operation nothing(const OperationSite&) {
  return [](StepInputs, Pass&) { return StepValue{}; };
}

// x [batch, length + size - 1, width], as recent gives it: [batch, groups, size, width], from the group of this pass's
// first token to that of its last one, whose missing tokens are zeros.
Operation groups(const OperationSite& site) {
  return [size = positive(site, "size", most_members)](StepInputs inputs, Pass& pass) {
    const mx::array& x = array_of(inputs, 0);
    if (x.ndim() != 3 || x.shape(1) != pass.length + size - 1)
      throw Fault({ErrorTag::bad_spec,
                   "groups are made of the recent size - 1 tokens and the new ones",
                   std::to_string(size),
                   "",
                   {}});
    const int before = size - 1 - pass.offset % size;
    const int there = x.shape(1) - before;
    const int count = (there + size - 1) / size;
    const mx::array own = mx::slice(x, {0, before, 0}, x.shape());
    const mx::array whole = mx::pad(own, {{0, 0}, {0, count * size - there}, {0, 0}});
    return one(mx::unflatten(whole, 1, {count, size}));
  };
}

// All finished groups so far; x [batch, 1, groups, width] has those of this pass, and may end with an unfinished one.
Operation kept_groups(const OperationSite& site) {
  return [size = positive(site, "size", most_members), slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array& x = array_of(inputs, 0);
    const int end = pass.offset + pass.length;
    const int added = end / size - pass.offset / size;
    if (x.ndim() != 4 || x.shape(2) < added)
      throw Fault({ErrorTag::bad_spec, "there is a row for each group", std::to_string(size), "", {}});
    LayerCache& cache = pass.cache->layer(slot);
    cache.append_groups(mx::slice(x, {0, 0, 0, 0}, {x.shape(0), x.shape(1), added, x.shape(3)}), pass.length);
    return cache.length() > 0 ? one(cache.kept().first) : StepValue{};
  };
}

// sum over heads of max(q k, 0) scale weight: float32 [batch, length, keys], minus infinity where the group of a key is
// not finished for the query. q [batch, heads, length, dim], keys [batch, 1, keys, dim], weights [batch, length,
// heads].
Operation group_scores(const OperationSite& site) {
  const auto scale = static_cast<float>(site.number("scale"));
  return [size = positive(site, "size", most_members), scale](StepInputs inputs, Pass& pass) {
    const mx::array* found = maybe_array_of(inputs, 1);
    if (found == nullptr) return StepValue{};
    const mx::array q = mx::astype(array_of(inputs, 0), mx::float32);
    const mx::array keys = mx::swapaxes(mx::squeeze(mx::astype(*found, mx::float32), 1), -1, -2);
    const mx::array weights = mx::astype(array_of(inputs, 2), mx::float32);
    mx::array scores = mx::zeros({q.shape(0), q.shape(2), keys.shape(2)}, mx::float32);
    for (int head = 0; head < q.shape(1); ++head) {
      const mx::array own =
          mx::squeeze(mx::slice(q, {0, head, 0, 0}, {q.shape(0), head + 1, q.shape(2), q.shape(3)}), 1);
      const mx::array weight = mx::slice(weights, {0, 0, head}, {weights.shape(0), weights.shape(1), head + 1});
      const mx::array term = mx::multiply(mx::maximum(mx::matmul(own, keys), mx::array(0.0F)), mx::array(scale));
      scores = mx::add(scores, mx::multiply(term, weight));
    }
    const mx::array visible = mx::less(mx::expand_dims(mx::arange(keys.shape(2)), 0), finished_groups(pass, size));
    return one(mx::where(visible, scores, minus_infinity()));
  };
}

// True for the keys in the `count` blocks of `block` keys whose best scores are highest: bool, shaped as the scores.
// The block of the newest finished group, which may have few keys yet, comes first; blocks without a key that is seen
// never come.
Operation group_blocks(const OperationSite& site) {
  const int block = positive(site, "block", most_members);
  const int count = positive(site, "count");
  return [block, count, size = positive(site, "size", most_members)](StepInputs inputs, Pass& pass) {
    const mx::array* scores = maybe_array_of(inputs, 0);
    if (scores == nullptr) return StepValue{};
    const mx::array best = block_maxima(*scores, block);
    const mx::array finished = finished_groups(pass, size);
    const mx::array newest =
        mx::where(mx::greater(finished, mx::array(0)),
                  mx::floor_divide(mx::subtract(finished, mx::array(1)), mx::array(block)), mx::array(-1));
    const mx::array strength = mx::where(mx::equal(mx::expand_dims(mx::arange(best.shape(2)), 0), newest),
                                         mx::negative(minus_infinity()), best);
    return one(in_strongest_blocks(strength, count, block, scores->shape()));
  };
}

// The places of the `count` keys with the highest scores, of candidates alone where they are given: int32 [batch,
// length, count or the number of keys], -1 for keys whose groups are not finished. With fewer candidates than that the
// others that come are any, as in the reference.
Operation top_groups(const OperationSite& site) {
  return [count = positive(site, "count"), size = positive(site, "size", most_members)](StepInputs inputs, Pass& pass) {
    const mx::array* given = maybe_array_of(inputs, 0);
    if (given == nullptr) return StepValue{};
    mx::array scores = *given;
    if (const mx::array* candidates = maybe_array_of(inputs, 1)) {
      if (candidates->shape() != scores.shape())
        throw Fault({ErrorTag::bad_config,
                     "candidates are chosen among the same keys",
                     fmt::format("{} and {}", candidates->shape(2), scores.shape(2)),
                     "check config.json",
                     {}});
      scores = mx::where(*candidates, scores, minus_infinity());
    }
    const int wanted = std::min(count, scores.shape(2));
    const mx::array order = mx::astype(mx::argpartition(mx::negative(scores), wanted - 1, -1), mx::int32);
    const mx::array best = mx::slice(order, {0, 0, 0}, {order.shape(0), order.shape(1), wanted});
    return one(mx::where(mx::less(best, finished_groups(pass, size)), best, mx::array(-1)));
  };
}

// Attention to a window of keys, which are their own values, and to those of `more` that `chosen` names.
Operation attend_beside(const OperationSite& site) {
  std::optional<mx::array> sinks;
  if (site.given("sinks")) sinks = mx::astype(value_or_throw(site.weights.load(site.text("sinks"))), mx::float32);
  const auto scale = static_cast<float>(site.number("scale"));
  return [window = positive(site, "window"), scale, sinks, slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array& q = array_of(inputs, 0);
    const mx::array& k = array_of(inputs, 1);
    LayerCache& cache = pass.cache->layer(slot);
    cache.append(k);
    const mx::array kept = cache.kept().first;
    const int near = std::min(kept.shape(2), window - 1 + pass.length);
    SparseAttention attention{
        q, mx::slice(kept, {0, 0, kept.shape(2) - near, 0}, kept.shape()), {}, {}, scale, window, sinks};
    const mx::array* rows = maybe_array_of(inputs, 2);
    const mx::array* chosen = maybe_array_of(inputs, 3);
    if (rows != nullptr && chosen != nullptr) {
      attention.rows = *rows;
      attention.chosen = *chosen;
    }
    return one(sparse_attention(attention));
  };
}

}  // namespace

const OperationTable& group_operations() {
  static const OperationTable table{{"nothing", nothing},
                                    {"groups", groups},
                                    {"kept_groups", kept_groups},
                                    {"group_scores", group_scores},
                                    {"group_blocks", group_blocks},
                                    {"top_groups", top_groups},
                                    {"attend_beside", attend_beside}};
  return table;
}

}  // namespace pippin

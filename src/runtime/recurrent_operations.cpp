#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

// x with the `count` tokens before it in front, which the cache keeps; zeros before the first. Tokens are the last axis
// but one.
Operation recent(const OperationSite& site) {
  const int count = site.integer("count");
  if (count < 0) throw Fault({ErrorTag::bad_config, "0 or more tokens are kept", std::to_string(count), "", {}});
  return [count, slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array rows = x.ndim() == 3 ? mx::expand_dims(x, 1) : x;
    LayerCache& cache = pass.cache->layer(slot);
    cache.append(rows);
    const mx::array kept = cache.kept().first;
    const int wanted = count + rows.shape(2);
    const int there = std::min(wanted, kept.shape(2));
    mx::array result = mx::slice(kept, {0, 0, kept.shape(2) - there, 0}, kept.shape());
    if (there < wanted) result = mx::pad(result, {{0, 0}, {0, 0}, {wanted - there, 0}, {0, 0}});
    return one(x.ndim() == 3 ? mx::squeeze(result, 1) : result);
  };
}

// Each channel's own convolution over the tokens, without padding: x [batch, length + taps - 1, channels], weight
// [channels, taps, 1]. Sums in float32.
Operation short_conv(const OperationSite& site) {
  const std::string at = site.text("at");
  const mx::array weight = mx::astype(value_or_throw(site.weights.load(at + ".weight")), mx::float32);
  if (weight.ndim() != 3 || weight.shape(1) == 0 || weight.shape(2) != 1)
    throw Fault({ErrorTag::mismatch, "a short convolution has one filter a channel", at, "", {}});
  std::vector<mx::array> taps;
  taps.reserve(static_cast<size_t>(weight.shape(1)));
  for (int k = 0; k < weight.shape(1); ++k)
    taps.push_back(mx::reshape(mx::slice(weight, {0, k, 0}, {weight.shape(0), k + 1, 1}), {-1}));
  std::optional<mx::array> bias;
  if (site.weights.has(at + ".bias")) bias = mx::astype(value_or_throw(site.weights.load(at + ".bias")), mx::float32);
  return [taps, bias](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array wide = mx::astype(x, mx::float32);
    const int length = x.shape(1) - static_cast<int>(taps.size()) + 1;
    std::optional<mx::array> sum;
    for (int k = 0; k < static_cast<int>(taps.size()); ++k) {
      const mx::array shifted = mx::slice(wide, {0, k, 0}, {x.shape(0), k + length, x.shape(2)});
      const mx::array term = mx::multiply(shifted, taps[static_cast<size_t>(k)]);
      sum = sum ? mx::add(*sum, term) : term;
    }
    if (bias) sum = mx::add(*sum, *bias);
    return one(mx::astype(*sum, x.dtype()));
  };
}

// Token t of [batch, length, ..], without its axis.
mx::array token(const mx::array& x, int t) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from[1] = t;
  to[1] = t + 1;
  return mx::squeeze(mx::slice(x, from, to), 1);
}

struct DeltaInputs {
  mx::array q;      // [batch, length, key heads, key width]
  mx::array k;      // the same
  mx::array v;      // [batch, length, heads, value width]
  mx::array decay;  // [batch, length, heads, key width or 1]
  MaybeArray beta;  // [batch, length, heads]
};

// Step by step; gives the tokens' results and the state after them.
std::pair<mx::array, mx::array> delta_steps(const DeltaInputs& in, mx::array state) {
  std::vector<mx::array> results;
  const int repeats = in.v.shape(2) / in.q.shape(2);
  for (int t = 0; t < in.q.shape(1); ++t) {
    const mx::array key = mx::expand_dims(mx::repeat(token(in.k, t), repeats, 1), -1);
    const mx::array query = mx::expand_dims(mx::repeat(token(in.q, t), repeats, 1), -1);
    mx::array change = token(in.v, t);
    state = mx::multiply(state, mx::expand_dims(token(in.decay, t), -1));
    if (in.beta) {
      const mx::array found = mx::sum(mx::multiply(state, key), -2);
      change = mx::multiply(mx::subtract(change, found), mx::expand_dims(token(*in.beta, t), -1));
    }
    state = mx::add(state, mx::multiply(key, mx::expand_dims(change, -2)));
    results.push_back(mx::sum(mx::multiply(state, query), -2));
  }
  return {mx::stack(results, 1), state};
}

// Heads of keys serve several heads of values. All in float32.
DeltaInputs delta_inputs(StepInputs inputs) {
  const auto wide = [&](size_t k) { return mx::astype(array_of(inputs, k), mx::float32); };
  DeltaInputs in{wide(0), wide(1), wide(2), wide(3), std::nullopt};
  if (inputs.size() > 4) in.beta = wide(4);
  const bool ranked = in.q.ndim() == 4 && in.k.shape() == in.q.shape() && in.v.ndim() == 4 && in.decay.ndim() >= 3;
  const int heads = ranked ? in.v.shape(2) : 0;
  const int key_heads = ranked ? in.q.shape(2) : 0;
  if (in.decay.ndim() == 3) in.decay = mx::expand_dims(in.decay, -1);
  const bool fits = key_heads > 0 && heads % key_heads == 0 && in.v.shape(0) == in.q.shape(0) &&
                    in.v.shape(1) == in.q.shape(1) && in.decay.ndim() == 4 &&
                    (in.decay.shape(3) == 1 || in.decay.shape(3) == in.q.shape(3)) &&
                    (!in.beta || in.beta->shape() == mx::Shape{in.v.shape(0), in.v.shape(1), heads});
  if (!fits)
    throw Fault({ErrorTag::bad_config,
                 "value heads are a multiple of key heads",
                 std::to_string(heads),
                 "check config.json",
                 {}});
  in.decay = mx::broadcast_to(in.decay, {in.v.shape(0), in.v.shape(1), heads, in.decay.shape(3)});
  return in;
}

// Per head a matrix S [key width, value width], 0 at first, that the cache keeps. For each token S *= decay; then, with
// beta, S += k (v - S^T k) beta, the gated delta rule, or S += k v, linear attention; the result is S^T q.
Operation delta_rule(const OperationSite& site) {
  return [slot = site.cache_slot, pool = site.pool](StepInputs inputs, Pass& pass) {
    const DeltaInputs in = delta_inputs(inputs);
    LayerCache& cache = pass.cache->layer(slot);
    const mx::Shape shape{in.v.shape(0), in.v.shape(2), in.q.shape(3), in.v.shape(3)};
    const mx::array before = cache.state() ? *cache.state() : mx::zeros(shape, mx::float32);
    const auto [result, after] =
        pool ? host_delta_rule(pool, in.q, in.k, in.v, in.decay, in.beta, before) : delta_steps(in, before);
    cache.keep_state(after, in.q.shape(1));
    return one(mx::astype(result, array_of(inputs, 0).dtype()));
  };
}

// The inputs q, k, v, decay, a and b in float32: v [batch, length, heads, value width], the others [.., key width].
std::vector<mx::array> transition_inputs(StepInputs inputs) {
  std::vector<mx::array> all;
  for (size_t k = 0; k < inputs.size(); ++k) {
    all.push_back(mx::astype(array_of(inputs, k), mx::float32));
    mx::Shape shape = all.back().shape();
    if (shape.size() == 4 && k == 2) shape[3] = all[0].shape(3);
    if (shape.size() != 4 || shape != all[0].shape())
      throw Fault(
          {ErrorTag::bad_config, "keys and values have the same heads", std::to_string(k), "check config.json", {}});
  }
  return all;
}

// Per head a matrix S [key width, value width], 0 at first, that the cache keeps. For each token
// S = decay S + b (S^T a) + k v; the result is S^T q (RWKV-7: Peng et al. 2025, arXiv:2503.14456).
Operation transition_rule(const OperationSite& site) {
  return [slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const std::vector<mx::array> in = transition_inputs(inputs);
    LayerCache& cache = pass.cache->layer(slot);
    const mx::Shape shape{in[2].shape(0), in[2].shape(2), in[0].shape(3), in[2].shape(3)};
    mx::array state = cache.state() ? *cache.state() : mx::zeros(shape, mx::float32);
    std::vector<mx::array> results;
    for (int t = 0; t < in[0].shape(1); ++t) {
      const auto column = [&](size_t k) { return mx::expand_dims(token(in[k], t), -1); };
      const mx::array value = mx::expand_dims(token(in[2], t), -2);
      const mx::array found = mx::sum(mx::multiply(state, column(4)), -2, true);
      const mx::array added = mx::add(mx::multiply(column(1), value), mx::multiply(column(5), found));
      state = mx::add(mx::multiply(state, column(3)), added);
      results.push_back(mx::sum(mx::multiply(state, column(0)), -2));
    }
    cache.keep_state(state, in[0].shape(1));
    return one(mx::astype(mx::stack(results, 1), array_of(inputs, 0).dtype()));
  };
}

}  // namespace

const OperationTable& recurrent_operations() {
  static const OperationTable table{{"recent", recent},
                                    {"short_conv", short_conv},
                                    {"delta_rule", delta_rule},
                                    {"linear_attention", delta_rule},
                                    {"transition_rule", transition_rule}};
  return table;
}

}  // namespace pippin

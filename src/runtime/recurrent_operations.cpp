#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/operation.h"
#include "runtime/recurrence.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int shortest_chunked = 8;  // tokens; fewer are done one by one

// x with the `count` tokens before it in front, which the cache keeps; zeros before the first. Tokens are the last axis
// but one.
Operation recent(const OperationSite& site) {
  const int count = site.integer("count");
  if (count < 0) throw Fault({ErrorTag::bad_config, "0 or more tokens are kept", std::to_string(count), "", {}});
  return [count, slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array& x = array_of(inputs, 0);
    LayerCache& cache = pass.cache->layer(slot);
    x.ndim() == 3 ? cache.append_rows(x) : cache.append(x);
    const mx::array kept = cache.kept().first;
    const int wanted = count + x.shape(-2);
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

Recurrence delta_on_device(const DeltaInputs& in, const mx::array& state) {
  const bool in_chunks = in.q.shape(1) >= shortest_chunked && in.decay.shape(3) == 1;
  return in_chunks ? delta_chunks(in, state) : delta_steps(in, state);
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
        pool ? host_delta_rule(pool, in.q, in.k, in.v, in.decay, in.beta, before) : delta_on_device(in, before);
    cache.keep_state(after, in.q.shape(1));
    return one(mx::astype(result, array_of(inputs, 0).dtype()));
  };
}

// The inputs q, k, v, decay, a and b in float32: v [batch, length, heads, value width], the others [.., key width].
TransitionInputs transition_inputs(StepInputs inputs) {
  std::vector<mx::array> all;
  for (size_t k = 0; k < inputs.size(); ++k) {
    all.push_back(mx::astype(array_of(inputs, k), mx::float32));
    mx::Shape shape = all.back().shape();
    if (shape.size() == 4 && k == 2) shape[3] = all[0].shape(3);
    if (shape.size() != 4 || shape != all[0].shape())
      throw Fault(
          {ErrorTag::bad_config, "keys and values have the same heads", std::to_string(k), "check config.json", {}});
  }
  return {all.at(0), all.at(1), all.at(2), all.at(3), all.at(4), all.at(5)};
}

Operation transition_rule(const OperationSite& site) {
  return [slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const TransitionInputs in = transition_inputs(inputs);
    LayerCache& cache = pass.cache->layer(slot);
    const mx::Shape shape{in.v.shape(0), in.v.shape(2), in.q.shape(3), in.v.shape(3)};
    const mx::array before = cache.state() ? *cache.state() : mx::zeros(shape, mx::float32);
    const auto [result, after] = transition_steps(in, before);
    cache.keep_state(after, in.q.shape(1));
    return one(mx::astype(result, array_of(inputs, 0).dtype()));
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

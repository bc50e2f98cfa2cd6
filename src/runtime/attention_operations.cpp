#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <mlx/fast.h>
#include <mlx/ops.h>

#include "runtime/attention_mask.h"
#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/key_blocks.h"
#include "runtime/operation.h"
#include "runtime/rope_frequencies.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

// The first `dims` elements times the amplitude, the others as they are.
mx::array amplified(const mx::array& x, const RopeTable& table) {
  if (table.amplitude == 1) return x;
  if (table.dims == x.shape(-1)) return mx::multiply(x, scalar(table.amplitude, x));
  const auto parts = mx::split(x, mx::Shape{table.dims}, -1);
  return mx::concatenate({mx::multiply(parts[0], scalar(table.amplitude, x)), parts[1]}, -1);
}

Operation rope(const OperationSite& site) {
  std::optional<double> max_positions;
  if (site.given("max_positions")) max_positions = site.number("max_positions");
  RopeTable table = rope_table(site.integer("dims"), site.number("base"), site.flag("traditional"),
                               site.node.attributes.at("scaling"), max_positions);
  const int every = site.integer("every");
  if (every < 1)
    throw Fault({ErrorTag::bad_config, "a row stands for 1 or more tokens", std::to_string(every), "", {}});
  table.scale *= site.number("scale") * every;
  if (site.given("freqs")) table.wavelengths = site.node.attributes.at("freqs").get<std::vector<float>>();
  std::optional<mx::array> wavelengths;
  if (!table.wavelengths.empty()) {
    wavelengths = mx::array(table.wavelengths.begin(), {static_cast<int>(table.wavelengths.size())}, mx::float32);
  }
  auto frequencies = std::make_shared<const std::vector<float>>(table.frequencies(table.base));
  return [table, wavelengths, frequencies, every, pool = site.pool](StepInputs inputs, Pass& pass) {
    const int first = pass.offset / every;
    if (pool && !table.dynamic_factor) {
      if (auto y = host_rope(pool, array_of(inputs, 0), table, frequencies, first)) return one(*y);
    }
    const mx::array x = amplified(array_of(inputs, 0), table);
    std::optional<float> base;
    if (!wavelengths) base = static_cast<float>(table.base_for(double{1} * pass.offset + pass.length));
    return one(
        mx::fast::rope(x, table.dims, table.traditional, base, static_cast<float>(table.scale), first, wavelengths));
  };
}

struct AttendSettings {
  float scale = 1;
  std::optional<int> window;
  std::optional<int> chunk;
  bool causal = true;
  double softcap = 0;
  bool alibi = false;
  std::optional<mx::array> sinks;
  std::optional<BlockPattern> blocks;
  std::optional<mx::array> chosen;  // the keys that each query looks at: bool [batch, 1, queries, keys]
};

// softmax(scale q k^T + mask) v with what mx.fast's does not have: a cap on the scores, or slopes by distance.
mx::array attend_openly(const mx::array& q, const mx::array& k, const mx::array& v, const AttendSettings& settings,
                        const std::optional<mx::array>& mask, const std::optional<mx::array>& slopes) {
  const int repeats = q.shape(1) / k.shape(1);
  mx::array queries = mx::multiply(q, scalar(settings.scale, q));
  mx::array keys = k;
  mx::array values = v;
  if (repeats > 1) {
    queries = mx::unflatten(queries, 1, {k.shape(1), repeats});
    keys = mx::expand_dims(k, 2);
    values = mx::expand_dims(v, 2);
  }
  mx::array scores = mx::matmul(queries, mx::swapaxes(keys, -1, -2));
  if (settings.softcap > 0) {
    const mx::array cap = scalar(settings.softcap, scores);
    scores = mx::multiply(mx::tanh(mx::divide(scores, cap)), cap);
  }
  if (slopes) {
    const mx::array added = mx::astype(*slopes, scores.dtype());
    scores = mx::add(scores, repeats > 1 ? mx::unflatten(added, 1, {k.shape(1), repeats}) : added);
  }
  if (mask) scores = mx::where(*mask, scores, scalar(-std::numeric_limits<float>::infinity(), scores));
  mx::array out = mx::matmul(mx::softmax(scores, -1, true), values);
  return repeats > 1 ? mx::flatten(out, 1, 2) : out;
}

// The last `count` tokens.
mx::array newest(const mx::array& x, int count) {
  return mx::slice(x, {0, 0, x.shape(2) - count, 0}, x.shape());
}

// Both masks; one of them may be none.
std::optional<mx::array> both_masks(const std::optional<mx::array>& mask, const std::optional<mx::array>& other) {
  if (!mask) return other;
  return other ? mx::logical_and(*mask, *other) : mask;
}

mx::array attention(const mx::array& q, const mx::array& all_keys, const mx::array& all_values,
                    const AttendSettings& settings, Pass& pass, const LayerCache& cache) {
  // One token sees just its window: no mask then.
  const bool cut = pass.length == 1 && settings.window && all_keys.shape(2) > *settings.window;
  const mx::array k = cut ? newest(all_keys, *settings.window) : all_keys;
  const mx::array v = cut ? newest(all_values, *settings.window) : all_values;
  if (k.shape(1) == 0 || q.shape(1) % k.shape(1) != 0)
    throw Fault({ErrorTag::bad_config,
                 "query heads are a multiple of key heads",
                 fmt::format("{} and {}", q.shape(1), k.shape(1)),
                 "check config.json",
                 {}});
  const MaskShape shape{pass.length,
                        k.shape(2),
                        cache.seen(),
                        settings.window,
                        settings.chunk,
                        settings.causal,
                        cache.max_size().value_or(0)};
  const bool open = settings.softcap > 0 || settings.alibi;
  const bool needs_array = open || settings.chosen || !shape.plain_causal();
  const bool sparse = settings.blocks && !settings.blocks->all_local(shape.seen);
  const std::optional<mx::array> by_order = sparse        ? block_mask(q.shape(1), *settings.blocks, shape)
                                            : needs_array ? pass_mask(pass.masks, shape)
                                                          : std::nullopt;
  if (settings.chosen && settings.chosen->shape(3) != shape.keys)
    throw Fault({ErrorTag::unsupported,
                 "a model that chooses its keys keeps all of them",
                 fmt::format("{} of {} tokens are kept", shape.keys, settings.chosen->shape(3)),
                 "leave out --max-kv-size",
                 {}});
  const std::optional<mx::array> mask = both_masks(by_order, settings.chosen);
  if (open) {
    std::optional<mx::array> slopes;
    if (settings.alibi) slopes = alibi_slopes(q.shape(1), shape);
    return attend_openly(q, k, v, settings, mask, slopes);
  }
  const bool causal_mode = !mask && settings.causal && pass.length > 1;
  return mx::fast::scaled_dot_product_attention(q, k, v, settings.scale, causal_mode ? "causal" : "", mask,
                                                settings.sinks);
}

// By pippin's kernel, straight from the cache's memory.
MaybeArray own_attention(const HostPool& pool, const mx::array& q, std::optional<int> shared,
                         const AttendSettings& settings, Pass& pass, const LayerCache& cache) {
  const auto stores = cache.stores();
  if (!stores || settings.alibi || settings.chosen || !settings.causal || stores->first.shape(1) == 0 ||
      q.shape(1) % stores->first.shape(1) != 0 || q.shape(3) != stores->first.shape(3) ||
      (settings.blocks && !settings.blocks->all_local(cache.seen())))
    return std::nullopt;
  HostAttention own;
  own.scale = settings.scale;
  own.softcap = static_cast<float>(settings.softcap);
  own.window = settings.window.value_or(0);
  own.length = cache.length();
  own.value_dim = shared ? *shared : stores->second.shape(3);
  own.sinks = settings.sinks;
  const MaskShape shape{pass.length,
                        cache.length(),
                        cache.seen(),
                        settings.window,
                        settings.chunk,
                        settings.causal,
                        cache.max_size().value_or(0)};
  if (settings.chunk) own.mask = pass_mask(pass.masks, shape);
  return host_attention(pool, q, stores->first, shared ? stores->first : stores->second, own);
}

// Several tokens at once see no more than a cache of limited size: as in the reference, not even its first ones.
AttendSettings limited(AttendSettings settings, const Pass& pass, const LayerCache& cache) {
  if (!settings.window && pass.length > 1) settings.window = cache.max_size();
  return settings;
}

AttendSettings settings_of(const OperationSite& site) {
  AttendSettings settings;
  settings.scale = static_cast<float>(site.number("scale"));
  settings.window = site.maybe_integer("window");
  if (site.given("softcap")) settings.softcap = site.number("softcap");
  return settings;
}

Operation attend(const OperationSite& site) {
  AttendSettings settings = settings_of(site);
  settings.chunk = site.maybe_integer("chunk");
  settings.causal = site.flag("causal");
  settings.alibi = site.flag("alibi");
  if (site.given("block")) {
    settings.blocks = BlockPattern{site.integer("block"), site.integer("local_blocks"), site.integer("block_stride")};
    if (settings.blocks->size < 1 || settings.blocks->local < 1 || settings.blocks->stride < 1)
      throw Fault({ErrorTag::bad_config, "blocks of attention have a size, a number and a stride", "", "", {}});
  }
  if (site.given("sinks")) settings.sinks = value_or_throw(site.weights.load(site.text("sinks")));
  // Values that are the first elements of the keys are not kept twice.
  const auto shared = site.maybe_integer("values");
  const size_t slot = site.cache_slot;
  return [settings, shared, slot, pool = site.pool](StepInputs inputs, Pass& pass) {
    LayerCache& cache = pass.cache->layer(slot);
    const mx::array& q = array_of(inputs, 0);
    const mx::array& k = array_of(inputs, 1);
    if (shared)
      cache.append(k);
    else
      cache.append(k, array_of(inputs, 2));
    AttendSettings now = limited(settings, pass, cache);
    if (const mx::array* chosen = maybe_array_of(inputs, 3)) now.chosen = *chosen;
    if (pool) {
      if (auto own = own_attention(pool, q, shared, now, pass, cache)) return one(*own);
    }
    const auto kept = cache.kept();
    mx::array values = kept.second;
    if (shared) {
      const mx::array& keys = kept.first;
      values = mx::slice(keys, {0, 0, 0, 0}, {keys.shape(0), keys.shape(1), keys.shape(2), *shared});
    }
    if (now.sinks) now.sinks = mx::astype(*now.sinks, q.dtype());
    return one(attention(q, kept.first, values, now, pass, cache));
  };
}

// Attention to what another layer has kept.
Operation attend_again(const OperationSite& site) {
  const AttendSettings settings = settings_of(site);
  const auto slot = static_cast<size_t>(site.integer("slot"));
  return [settings, slot, pool = site.pool](StepInputs inputs, Pass& pass) {
    const LayerCache& cache = pass.cache->layer(slot);
    const AttendSettings now = limited(settings, pass, cache);
    if (pool) {
      if (auto own = own_attention(pool, array_of(inputs, 0), std::nullopt, now, pass, cache)) return one(*own);
    }
    const auto kept = cache.kept();
    return one(attention(array_of(inputs, 0), kept.first, kept.second, now, pass, cache));
  };
}

// Of all keys that were kept so far; each query sees those before it.
std::optional<mx::array> mask_of_all(Pass& pass, const LayerCache& cache) {
  return pass_mask(pass.masks, {pass.length, cache.length(), cache.seen(), {}, {}, true, 0});
}

// Minus infinity where a query does not see a key.
mx::array scores_of_seen(const mx::array& scores, const std::optional<mx::array>& mask) {
  return mask ? mx::where(*mask, scores, scalar(-std::numeric_limits<float>::infinity(), scores)) : scores;
}

// The keys that attention shall look at: the `count` with the highest sums over heads of max(q k, 0) times the head's
// weight, among all that the cache keeps for this. q [batch, heads, length, dim], k [batch, 1, length, dim], weights
// [batch, length, heads]. Gives bool [batch, 1, length, keys]; nothing while there are no more keys than that.
Operation top_keys(const OperationSite& site) {
  const int count = site.integer("count");
  if (count < 1)
    throw Fault({ErrorTag::bad_config, "attention looks at 1 or more keys", std::to_string(count), "", {}});
  return [count, slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array& q = array_of(inputs, 0);
    const mx::array& k = array_of(inputs, 1);
    LayerCache& cache = pass.cache->layer(slot);
    cache.append(k);
    const mx::array keys = mx::swapaxes(cache.kept().first, -1, -2);
    if (cache.length() <= count) return StepValue{};
    const mx::array weights = mx::expand_dims(mx::swapaxes(array_of(inputs, 2), -1, -2), -1);
    std::optional<mx::array> scores;
    for (int head = 0; head < q.shape(1); ++head) {
      const auto of_head = [head](const mx::array& x) {
        return mx::slice(x, {0, head, 0, 0}, {x.shape(0), head + 1, x.shape(2), x.shape(3)});
      };
      const mx::array product = mx::matmul(of_head(q), keys);
      const mx::array term = mx::multiply(mx::maximum(product, scalar(0, product)), of_head(weights));
      scores = scores ? mx::add(*scores, term) : term;
    }
    const mx::array order = mx::argpartition(scores_of_seen(*scores, mask_of_all(pass, cache)), -count, -1);
    const mx::array best = mx::slice(order, {0, 0, 0, order.shape(3) - count}, order.shape());
    return one(mx::put_along_axis(mx::zeros(order.shape(), mx::bool_), best, mx::array(true), -1));
  };
}

struct BlockChoice {
  int size = 1;   // keys
  int count = 1;  // blocks a query looks at
  int local = 1;  // of these, the query's own and those right before it
};

// True for the keys in the blocks with the highest scores; scores [batch, heads, queries, keys] of the last queries,
// minus infinity where a key is not seen.
mx::array in_best_blocks(const mx::array& scores, const BlockChoice& choice) {
  mx::array strength = block_maxima(scores, choice.size);
  if (choice.local > 0) {
    const int keys = scores.shape(3);
    const mx::array positions = mx::arange(keys - scores.shape(2), keys);
    const mx::array own = mx::expand_dims(mx::floor_divide(positions, mx::array(choice.size)), 1);
    const mx::array behind = mx::subtract(own, mx::expand_dims(mx::arange(strength.shape(3)), 0));
    const mx::array local =
        mx::logical_and(mx::greater_equal(behind, mx::array(0)), mx::less(behind, mx::array(choice.local)));
    strength = mx::where(local, scalar(std::numeric_limits<float>::infinity(), strength), strength);
  }
  return in_strongest_blocks(strength, choice.count, choice.size, scores.shape());
}

// The keys that each query shall attend to: those of the `count` blocks of `size` keys with the highest max(q k), among
// all that the cache keeps for this; the query's own block and the local_blocks - 1 before it come first. q [batch,
// index heads, length, dim], k [batch, 1, length, dim]. Gives bool [batch, heads, length, keys], where index heads
// serve as many heads in a row each; nothing while there are no more blocks than that.
Operation top_blocks(const OperationSite& site) {
  const BlockChoice choice{site.integer("size"), site.integer("count"), site.integer("local_blocks")};
  const int heads = site.integer("heads");
  if (choice.size < 1 || choice.count < 1)
    throw Fault({ErrorTag::bad_config,
                 "attention looks at 1 or more blocks of 1 or more keys",
                 fmt::format("{} of {}", choice.count, choice.size),
                 "",
                 {}});
  return [choice, heads, slot = site.cache_slot](StepInputs inputs, Pass& pass) {
    const mx::array q = mx::astype(array_of(inputs, 0), mx::float32);
    const mx::array& k = array_of(inputs, 1);
    if (heads % q.shape(1) != 0)
      throw Fault({ErrorTag::bad_config,
                   "query heads are a multiple of index heads",
                   fmt::format("{} and {}", heads, q.shape(1)),
                   "check config.json",
                   {}});
    LayerCache& cache = pass.cache->layer(slot);
    cache.append(k);
    if (int64_t{choice.count} * choice.size >= cache.length()) return StepValue{};
    const mx::array keys = mx::swapaxes(mx::astype(cache.kept().first, mx::float32), -1, -2);
    const auto mask = mask_of_all(pass, cache);
    mx::array kept = in_best_blocks(scores_of_seen(mx::matmul(q, keys), mask), choice);
    if (mask) kept = mx::logical_and(kept, *mask);
    return one(mx::repeat(kept, heads / q.shape(1), 1));
  };
}

}  // namespace

const OperationTable& attention_operations() {
  static const OperationTable table{{"rope", rope},
                                    {"attend", attend},
                                    {"attend_again", attend_again},
                                    {"top_keys", top_keys},
                                    {"top_blocks", top_blocks}};
  return table;
}

}  // namespace pippin

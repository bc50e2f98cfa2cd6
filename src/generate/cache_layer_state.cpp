#include "generate/cache_layer_state.h"

#include <algorithm>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace mx = mlx::core;
using Arrays = CacheArrays;
using Use = CacheKind::Use;

constexpr int kept_first = 4;  // of a cache of limited size

[[noreturn]] void bad(const std::string& what) {
  throw Fault({ErrorTag::bad_file, "a prompt cache has the state of every layer", what, "write it again", {}});
}

mx::array tokens(const mx::array& x, int begin, int end) {
  return mx::slice(x, {0, 0, begin, 0}, {x.shape(0), x.shape(1), end, x.shape(3)});
}

const mx::array& array_at(const Arrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) bad(name + " is missing");
  return found->second;
}

int number_at(const Arrays& arrays, const std::string& name) {
  const mx::array& value = array_at(arrays, name);
  if (value.size() != 1 || !mx::issubdtype(value.dtype(), mx::integer)) bad(name + " is no whole number");
  mx::array wide = mx::astype(mx::reshape(value, {}), mx::int64);
  const auto number = wide.item<int64_t>();
  if (number < 0 || number > 1 << 30) bad(fmt::format("{} is {}", name, number));
  return static_cast<int>(number);
}

const mx::array& kept_at(const Arrays& arrays, const std::string& name) {
  const mx::array& x = array_at(arrays, name);
  if (x.ndim() != 4 || x.shape(0) != 1) bad(name + " is not of one sequence");
  return x;
}

// A ring of `keep` first tokens and then the latest, the next of which goes to place `at`: oldest first.
mx::array unrolled(const mx::array& x, int keep, int at, int offset) {
  const int size = x.shape(2);
  if (at > size || keep > at) bad("a ring's place is outside of it");
  if (at == size) return x;
  if (at >= offset) return tokens(x, 0, at);
  return mx::concatenate({tokens(x, 0, keep), tokens(x, at, size), tokens(x, keep, at)}, 2);
}

[[noreturn]] void not_in_mlx_lm(const std::string& what) {
  throw Fault({ErrorTag::unsupported, "a prompt cache is of a kind that mlx_lm has", what, "", {}});
}

mx::array elements(const mx::array& x, int begin, int end) {
  return mx::slice(x, {0, 0, 0, begin}, {x.shape(0), x.shape(1), x.shape(2), end});
}

mx::array last_tokens(const mx::array& x, int most) {
  return mx::contiguous(tokens(x, std::max(x.shape(2) - most, 0), x.shape(2)));
}

// mlx_lm has the keys of latent attention apart: what is the values' too, and what is not.
KeptParts parts_in_file(const LayerCache& layer) {
  KeptParts kept = layer.parts();
  const mx::array keys = kept.keys.front();
  if (layer.kind().use == Use::index) kept.values = {layer.kind().blanks ? mx::zeros_like(keys) : elements(keys, 0, 0)};
  if (!layer.kind().values) return kept;
  if (kept.keys.size() > 1) not_in_mlx_lm("quantized latent keys");
  kept.keys = {elements(keys, 0, *layer.kind().values)};
  kept.values = {elements(keys, *layer.kind().values, keys.shape(3))};
  return kept;
}

// [batch, heads, keys, values] in mlx_lm's order, in which a width of 1 has no axis.
mx::array state_in_file(const LayerCache& layer) {
  const mx::array& state = *layer.state();
  if (layer.kind().keys_first) return state;
  const mx::array swapped = mx::swapaxes(state, 2, 3);
  std::vector<int> flat;
  if (swapped.shape(2) == 1) {
    flat.push_back(2);
    if (swapped.shape(3) == 1) flat.push_back(3);
  }
  return mx::squeeze(swapped, flat);
}

// The tokens that the next one will look at, zeros before the first.
mx::array recent_in_file(const LayerCache& layer) {
  const int count = *layer.window() - 1;
  mx::array rows = last_tokens(layer.parts().keys.front(), count);
  rows = mx::pad(rows, {{0, 0}, {0, 0}, {count - rows.shape(2), 0}, {0, 0}});
  if (layer.has_heads()) return rows;
  return rows.shape(3) == 1 ? mx::squeeze(rows, std::vector<int>{1, 3}) : mx::squeeze(rows, 1);
}

bool both_real(const mx::array& a, const mx::array& b) {
  return mx::issubdtype(a.dtype(), mx::floating) && mx::issubdtype(b.dtype(), mx::floating);
}

[[noreturn]] void other_shapes(const std::string& place, const mx::array& found, const mx::array& wanted) {
  throw Fault({ErrorTag::mismatch,
               "a prompt cache has the shapes of the model",
               fmt::format("cache {}: ({}), the model has ({})", place, fmt::join(found.shape(), ", "),
                           fmt::join(wanted.shape(), ", ")),
               "use the model that the file was made with",
               {}});
}

}  // namespace

CacheLayerState state_of_arrays(std::span<const LayerCache* const> layers) {
  CacheLayerState state;
  state.kind = "ArraysCache";
  for (size_t k = 0; k < layers.size(); ++k) {
    const bool is_state = layers[k]->kind().use == Use::state;
    state.arrays.insert_or_assign(fmt::format("0.{}", k),
                                  mx::contiguous(is_state ? state_in_file(*layers[k]) : recent_in_file(*layers[k])));
  }
  state.nothings = {"1", "2"};  // left_padding and lengths of a batch
  return state;
}

void restore_arrays(const std::string& place, const Arrays& arrays, std::span<const ArraysTarget> targets, int offset) {
  for (const char* of_batches : {".1", ".2"}) {
    const auto found = arrays.find(place + of_batches);
    if (found != arrays.end() && found->second.size() > 0) bad("cache " + place + " is of a batch");
  }
  for (size_t k = 0; k < targets.size(); ++k) {
    const std::string name = fmt::format("{}.0.{}", place, k);
    const mx::array& found = array_at(arrays, name);
    const LayerCache& sample = *targets[k].sample;
    const bool is_state = sample.kind().use == Use::state;
    const mx::array wanted = is_state ? state_in_file(sample) : recent_in_file(sample);
    if (found.shape() != wanted.shape() || (found.dtype() != wanted.dtype() && !both_real(found, wanted)))
      other_shapes(name, found, wanted);
    const mx::array x = mx::astype(found, wanted.dtype());
    if (is_state) {
      const mx::Shape shape = mx::swapaxes(*sample.state(), 2, 3).shape();
      const mx::array state = sample.kind().keys_first ? x : mx::swapaxes(mx::reshape(x, shape), 2, 3);
      targets[k].layer->restore_state(mx::contiguous(state), offset);
    } else {
      mx::Shape shape = sample.parts().keys.front().shape();
      shape[2] = *sample.window() - 1;
      const mx::array rows = mx::contiguous(mx::reshape(x, shape));
      targets[k].layer->restore(KeptParts{{rows}, {elements(rows, 0, 0)}}, offset);
    }
  }
}

CacheLayerState state_of(const LayerCache& layer) {
  if (layer.length() == 0) bad("a layer has seen nothing");
  const KeptParts kept = parts_in_file(layer);
  const CacheOptions& options = layer.options();
  CacheLayerState state;
  state.numbers["2"] = layer.seen();
  if (options.bits) {
    if (options.max_size || layer.window() || layer.kind().chunk) not_in_mlx_lm("quantized keys of limited number");
    state.kind = "QuantizedKVCache";
    for (size_t k = 0; k < kept.keys.size(); ++k) {
      state.arrays.insert_or_assign(fmt::format("0.{}", k), mx::contiguous(kept.keys[k]));
      state.arrays.insert_or_assign(fmt::format("1.{}", k), mx::contiguous(kept.values[k]));
    }
    state.numbers["3"] = options.group_size;
    state.numbers["4"] = *options.bits;
    return state;
  }
  // A window is a ring that keeps no first tokens; a layer that has both has the smaller.
  const bool by_window = layer.window() && (!options.max_size || *layer.window() < *options.max_size);
  const std::optional<int> size = by_window ? layer.window() : options.max_size;
  const int most = by_window ? *layer.window() : kept.keys.front().shape(2);
  state.kind = size ? "RotatingKVCache" : layer.kind().chunk ? "ChunkedKVCache" : "KVCache";
  const mx::array keys = last_tokens(kept.keys.front(), most);
  state.arrays.insert_or_assign("0", keys);
  state.arrays.insert_or_assign("1", last_tokens(kept.values.front(), most));
  if (state.kind == "ChunkedKVCache") {
    state.numbers["3"] = *layer.kind().chunk;
    state.numbers["4"] = layer.seen() - keys.shape(2);  // the first that is kept
  }
  if (!size) return state;
  state.numbers["3"] = by_window ? 0 : kept_first;
  state.numbers["4"] = *size;
  state.numbers["5"] = keys.shape(2);
  return state;
}

StoredLayer::StoredLayer(std::string name, const std::string& kind, const Arrays& arrays) : place_(std::move(name)) {
  const auto at = [this](const char* part) { return place_ + "." + part; };
  const bool is_chunked = kind == "ChunkedKVCache";
  if (kind != "KVCache" && kind != "RotatingKVCache" && kind != "QuantizedKVCache" && !is_chunked) {
    throw Fault({ErrorTag::unsupported,
                 "a prompt cache's layers are of a kind that pippin has",
                 fmt::format("layer {}: {}", place_, in_quotes(kind)),
                 "",
                 {}});
  }
  offset_ = number_at(arrays, at("2"));
  if (offset_ == 0) bad(fmt::format("layer {} has seen nothing", place_));
  if (kind == "QuantizedKVCache") {
    for (const char* part : {"0", "1", "2"}) {
      parts_.keys.push_back(kept_at(arrays, at("0.") + part));
      parts_.values.push_back(kept_at(arrays, at("1.") + part));
    }
    group_size_ = number_at(arrays, at("3"));
    bits_ = number_at(arrays, at("4"));
  } else {
    parts_.keys.push_back(kept_at(arrays, at("0")));
    parts_.values.push_back(kept_at(arrays, at("1")));
  }
  if (kind == "RotatingKVCache") {
    keep_ = number_at(arrays, at("3"));
    max_size_ = number_at(arrays, at("4"));
    const int place = number_at(arrays, at("5"));
    for (auto* part : {&parts_.keys, &parts_.values}) part->front() = unrolled(part->front(), keep_, place, offset_);
    return;
  }
  const int first = is_chunked ? number_at(arrays, at("4")) : 0;
  if (first >= offset_) bad(fmt::format("layer {} has no keys", place_));
  for (auto* side : {&parts_.keys, &parts_.values}) {
    for (auto& part : *side) {
      if (part.shape(2) < offset_ - first) bad(fmt::format("layer {} has fewer keys than tokens", place_));
      part = tokens(part, 0, offset_ - first);
    }
  }
}

void StoredLayer::restore(LayerCache& layer, const LayerCache& sample) const {
  const KeptParts like = parts_in_file(sample);
  KeptParts fitted;
  const int length = parts_.keys.front().shape(2);
  const auto fit = [&](const std::vector<mx::array>& found, const std::vector<mx::array>& wanted,
                       std::vector<mx::array>& out) {
    for (size_t k = 0; k < wanted.size(); ++k) {
      const mx::array& x = found[k];
      const mx::array& model = wanted[k];
      const bool fits = x.shape(1) == model.shape(1) && x.shape(2) == length && x.shape(3) == model.shape(3) &&
                        (both_real(x, model) || x.dtype() == model.dtype());
      if (!fits) other_shapes(place_, x, model);
      out.push_back(mx::contiguous(mx::astype(x, model.dtype())));
    }
  };
  if (like.keys.size() != parts_.keys.size()) bad(fmt::format("layer {} is quantized otherwise", place_));
  if (length > offset_ || length == 0) bad(fmt::format("layer {} has more keys than tokens", place_));
  fit(parts_.keys, like.keys, fitted.keys);
  fit(parts_.values, like.values, fitted.values);
  if (sample.kind().values) fitted.keys = {mx::concatenate({fitted.keys.front(), fitted.values.front()}, 3)};
  if (sample.kind().values || sample.kind().use == Use::index) fitted.values = {elements(fitted.keys.front(), 0, 0)};
  layer.restore(std::move(fitted), offset_);
}

}  // namespace pippin

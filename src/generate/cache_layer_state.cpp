#include "generate/cache_layer_state.h"

#include <algorithm>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace mx = mlx::core;
using Arrays = std::unordered_map<std::string, mx::array>;

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

mx::array last_tokens(const mx::array& x, int most) {
  return mx::contiguous(tokens(x, std::max(x.shape(2) - most, 0), x.shape(2)));
}

}  // namespace

CacheLayerState state_of(const LayerCache& layer) {
  if (!layer.of_attention() || layer.length() == 0) not_in_mlx_lm("this model keeps a state beside its keys");
  const KeptParts kept = layer.parts();
  if (kept.values.front().shape(3) == 0) not_in_mlx_lm("this model keeps its values within its keys");
  const CacheOptions& options = layer.options();
  CacheLayerState state;
  state.numbers["2"] = layer.seen();
  if (options.bits) {
    if (options.max_size || layer.window()) not_in_mlx_lm("quantized keys of limited number");
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
  state.kind = size ? "RotatingKVCache" : "KVCache";
  const mx::array keys = last_tokens(kept.keys.front(), most);
  state.arrays.insert_or_assign("0", keys);
  state.arrays.insert_or_assign("1", last_tokens(kept.values.front(), most));
  if (!size) return state;
  state.numbers["3"] = by_window ? 0 : kept_first;
  state.numbers["4"] = *size;
  state.numbers["5"] = keys.shape(2);
  return state;
}

StoredLayer::StoredLayer(size_t slot, const std::string& kind, const Arrays& arrays) : slot_(slot) {
  const auto at = [slot](const char* place) { return fmt::format("{}.{}", slot, place); };
  if (kind != "KVCache" && kind != "RotatingKVCache" && kind != "QuantizedKVCache") {
    throw Fault({ErrorTag::unsupported,
                 "a prompt cache's layers are of a kind that pippin has",
                 fmt::format("layer {}: {}", slot, in_quotes(kind)),
                 "",
                 {}});
  }
  offset_ = number_at(arrays, at("2"));
  if (offset_ == 0) bad(fmt::format("layer {} has seen nothing", slot));
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
  for (auto* side : {&parts_.keys, &parts_.values}) {
    for (auto& part : *side) {
      if (part.shape(2) < offset_) bad(fmt::format("layer {} has fewer keys than tokens", slot));
      part = tokens(part, 0, offset_);
    }
  }
}

void StoredLayer::restore(LayerCache& layer, const LayerCache& sample) const {
  const KeptParts like = sample.parts();
  KeptParts fitted;
  const int length = parts_.keys.front().shape(2);
  const auto fit = [&](const std::vector<mx::array>& found, const std::vector<mx::array>& wanted,
                       std::vector<mx::array>& out) {
    for (size_t k = 0; k < wanted.size(); ++k) {
      const mx::array& x = found[k];
      const mx::array& model = wanted[k];
      const bool both_real = mx::issubdtype(x.dtype(), mx::floating) && mx::issubdtype(model.dtype(), mx::floating);
      const bool fits = x.shape(1) == model.shape(1) && x.shape(2) == length && x.shape(3) == model.shape(3) &&
                        (both_real || x.dtype() == model.dtype());
      if (!fits) {
        throw Fault({ErrorTag::mismatch,
                     "a prompt cache has the shapes of the model",
                     fmt::format("layer {}: {} heads of {}, the model has {} of {}", slot_, x.shape(1), x.shape(3),
                                 model.shape(1), model.shape(3)),
                     "use the model that the file was made with",
                     {}});
      }
      out.push_back(mx::contiguous(mx::astype(x, model.dtype())));
    }
  };
  if (like.keys.size() != parts_.keys.size()) bad(fmt::format("layer {} is quantized otherwise", slot_));
  if (length > offset_ || length == 0) bad(fmt::format("layer {} has more keys than tokens", slot_));
  fit(parts_.keys, like.keys, fitted.keys);
  fit(parts_.values, like.values, fitted.values);
  layer.restore(std::move(fitted), offset_);
}

}  // namespace pippin

#include "generate/stored_caches.h"

#include <utility>

#include <fmt/format.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "generate/cache_layout.h"
#include "runtime/fault.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

[[noreturn]] void other_layers(const std::string& found) {
  throw Fault({ErrorTag::mismatch,
               "a prompt cache has the layers of the model",
               found,
               "use the model that the file was made with",
               {}});
}

// A text is an array of its characters' numbers.
std::string text_in(const CacheArrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  if (found == arrays.end() || found->second.ndim() != 1 || found->second.size() > 64) return {};
  mx::array codes = mx::contiguous(mx::astype(found->second, mx::int32));
  codes.eval();
  std::string text;
  for (size_t k = 0; k < codes.size(); ++k) text += static_cast<char>(codes.data<int32_t>()[k]);
  return text;
}

void store_part(const CachePart& part, const std::string& place, const std::string& kind, StoredCaches& stored) {
  if (part.is_arrays && kind != "ArraysCache") other_layers("cache " + place + " is " + in_quotes(kind));
  for (const size_t slot : part.slots) stored.places[slot] = place;
  if (!part.is_arrays) stored.layers.emplace(part.slots[0], StoredLayer(place, kind, stored.arrays));
}

}  // namespace

const StoredLayer* StoredCaches::first_of_attention(const KvCache& cache) const {
  for (const auto& [slot, layer] : layers) {
    if (cache.layers()[slot].of_attention()) return &layer;
  }
  return nullptr;
}

StoredCaches stored_caches(std::span<const std::string> kinds, CacheArrays arrays, const KvCache& cache) {
  StoredCaches stored{std::vector<std::string>(cache.size()), {}, std::move(arrays)};
  const std::vector<CacheEntry> layout = cache_layout(cache);
  if (kinds.size() != layout.size()) other_layers(fmt::format("{} caches instead of {}", kinds.size(), layout.size()));
  for (size_t k = 0; k < layout.size(); ++k) {
    if (!layout[k].is_list) {
      store_part(layout[k].parts[0], fmt::format("{}", k), kinds[k], stored);
      continue;
    }
    if (kinds[k] != "CacheList") other_layers(fmt::format("cache {} is {}", k, in_quotes(kinds[k])));
    for (size_t j = 0; j < layout[k].parts.size(); ++j) {
      const std::string inner = text_in(stored.arrays, fmt::format("{}.{}.1", k, j));
      store_part(layout[k].parts[j], fmt::format("{}.{}.0", k, j), inner, stored);
    }
  }
  return stored;
}

void restore_all(const StoredCaches& stored, const KvCache& sample, int offset, KvCache& cache) {
  for (const CacheEntry& entry : cache_layout(cache)) {
    for (const CachePart& part : entry.parts) {
      const std::string& place = stored.places[part.slots[0]];
      if (part.is_arrays) {
        std::vector<ArraysTarget> targets;
        for (const size_t slot : part.slots) targets.push_back({&cache.layer(slot), &sample.layers()[slot]});
        restore_arrays(place, stored.arrays, targets, offset);
        continue;
      }
      const size_t slot = part.slots[0];
      stored.layers.at(slot).restore(cache.layer(slot), sample.layers()[slot]);
      if (cache.layer(slot).seen() != offset)
        throw Fault({ErrorTag::bad_file,
                     "all layers of a prompt cache have seen the same tokens",
                     "layer " + place,
                     "write it again",
                     {}});
    }
  }
  mx::eval(cache.arrays());
}

}  // namespace pippin

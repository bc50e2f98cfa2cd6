#include "generate/cache_layout.h"

#include <algorithm>
#include <map>

namespace pippin {
namespace {

using Use = CacheKind::Use;

CacheEntry entry_of(const KvCache& cache, const std::vector<size_t>& slots) {
  CacheEntry entry;
  CachePart arrays{true, {}};
  std::vector<CachePart> indexes;
  for (const size_t slot : slots) {
    const Use use = cache.layers()[slot].kind().use;
    if (use == Use::recent || use == Use::state) arrays.slots.push_back(slot);
    if (use == Use::attention) entry.parts.push_back({false, {slot}});
    if (use == Use::index) indexes.push_back({false, {slot}});
  }
  if (!arrays.slots.empty()) entry.parts.insert(entry.parts.begin(), std::move(arrays));
  entry.parts.insert(entry.parts.end(), indexes.begin(), indexes.end());
  return entry;
}

}  // namespace

std::vector<CacheEntry> cache_layout(const KvCache& cache) {
  std::map<int, std::vector<size_t>> slots_of_layer;
  for (size_t slot = 0; slot < cache.size(); ++slot) slots_of_layer[cache.layers()[slot].kind().layer].push_back(slot);
  std::vector<CacheEntry> entries;
  entries.reserve(slots_of_layer.size());
  for (const auto& [layer, slots] : slots_of_layer) entries.push_back(entry_of(cache, slots));
  const bool lists = std::any_of(entries.begin(), entries.end(), [](const auto& e) { return e.parts.size() > 1; });
  const size_t before = slots_of_layer.count(-1);
  for (size_t k = before; k < entries.size(); ++k) entries[k].is_list = lists;
  return entries;
}

}  // namespace pippin

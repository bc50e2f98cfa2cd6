#include "generate/cache_file_content.h"

#include <vector>

#include <fmt/format.h>
#include <mlx/io.h>
#include <mlx/ops.h>

#include "generate/cache_layout.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

CacheLayerState state_of_part(const CachePart& part, const KvCache& cache) {
  if (!part.is_arrays) return state_of(cache.layers()[part.slots[0]]);
  std::vector<const LayerCache*> layers;
  for (const size_t slot : part.slots) layers.push_back(&cache.layers()[slot]);
  return state_of_arrays(layers);
}

}  // namespace

void CacheFileContent::add(const KvCache& cache) {
  const std::vector<CacheEntry> layout = cache_layout(cache);
  for (size_t k = 0; k < layout.size(); ++k) {
    if (!layout[k].is_list) {
      const CacheLayerState state = state_of_part(layout[k].parts[0], cache);
      set_text(fmt::format("1.{}", k), state.kind);
      add_state(fmt::format("{}", k), state);
      continue;
    }
    set_text(fmt::format("1.{}", k), "CacheList");
    for (size_t j = 0; j < layout[k].parts.size(); ++j) {
      const CacheLayerState state = state_of_part(layout[k].parts[j], cache);
      add_state(fmt::format("{}.{}.0", k, j), state);
      const mx::array name(state.kind.begin(), {static_cast<int>(state.kind.size())}, mx::int32);
      add_special(fmt::format("{}.{}.1", k, j), name, "string");
    }
  }
}

void CacheFileContent::save(const std::filesystem::path& path) const {
  mx::save_safetensors(path.string(), arrays_, texts_);
}

void CacheFileContent::add_state(const std::string& place, const CacheLayerState& state) {
  for (const auto& [name, array] : state.arrays) arrays_.insert_or_assign(place + "." + name, array);
  for (const auto& [name, number] : state.numbers) add_special(place + "." + name, mx::array(number), "scalar");
  for (const auto& name : state.nothings) add_special(place + "." + name, mx::zeros({0}), "none");
}

// What Python has as something else than an array.
void CacheFileContent::add_special(const std::string& name, const mx::array& array, const char* type) {
  arrays_.insert_or_assign(name, array);
  ++specials_;
  texts_[fmt::format("2.{}.0", specials_)] = name;
  texts_[fmt::format("2.{}.1", specials_)] = type;
}

}  // namespace pippin

// Which of a model's caches stand in which entry of a file: mlx_lm has one entry a layer.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/kv_cache.h"

namespace pippin {

// One class of mlx_lm's: keys and values, of one slot of the KvCache; or an ArraysCache of one slot or more.
struct CachePart {
  bool is_arrays = false;
  std::vector<size_t> slots;
};

struct CacheEntry {
  bool is_list = false;  // a CacheList of the parts; otherwise there is one
  std::vector<CachePart> parts;
};

// Recent tokens and states come first, then keys and values, then the keys of an index. Where one layer needs a list,
// all have one; what is before the layers has an entry of its own.
std::vector<CacheEntry> cache_layout(const KvCache& cache);

}  // namespace pippin

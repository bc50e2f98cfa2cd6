// The caches of a prompt cache file: where each of a model's slots stands, and what stands there.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "generate/cache_layer_state.h"

namespace pippin {

struct StoredCaches {
  std::vector<std::string> places;       // of each slot; with several slots at one, arrays of one class
  std::map<size_t, StoredLayer> layers;  // keys and values, by slot
  CacheArrays arrays;                    // all of the file

  // Nothing for a model without attention.
  [[nodiscard]] const StoredLayer* first_of_attention(const KvCache& cache) const;
};

// kinds: mlx_lm's class of each entry. cache: of the model, for its layout. Only below guarded(); throws Faults
// (mismatch, bad_file, unsupported).
StoredCaches stored_caches(std::span<const std::string> kinds, CacheArrays arrays, const KvCache& cache);

// Fills an empty cache. sample: of the same model after another token, for shapes and dtypes. offset: tokens seen.
void restore_all(const StoredCaches& stored, const KvCache& sample, int offset, KvCache& cache);

}  // namespace pippin

// One layer's keys and values as mlx_lm keeps them in a file: the class of its cache, arrays and numbers.
// Source: KVCache, RotatingKVCache and QuantizedKVCache of mlx_lm/models/cache.py 0.32.2.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include <mlx/array.h>

#include "runtime/kv_cache.h"

namespace pippin {

struct CacheLayerState {
  std::string kind;                                // the name of mlx_lm's class
  std::map<std::string, mlx::core::array> arrays;  // by place: "0" keys, "1" values, or "0.0" and so on
  std::map<std::string, int> numbers;              // "2" offset; then what the class has
};

// What one layer of a cache becomes in a file. Only below guarded(); throws a Fault where mlx_lm has no such cache.
CacheLayerState state_of(const LayerCache& layer);

// A layer as a file has it. Arrays are checked for their number of dimensions and dtype only.
class StoredLayer {
 public:
  // Only below guarded(); throws Faults (bad_file, unsupported). kind: from the metadata. arrays: all of the file.
  StoredLayer(size_t slot, const std::string& kind, const std::unordered_map<std::string, mlx::core::array>& arrays);

  [[nodiscard]] std::optional<int> bits() const { return bits_; }
  [[nodiscard]] int group_size() const { return group_size_; }
  // Tokens that are kept at most, of a cache of limited size.
  [[nodiscard]] std::optional<int> max_size() const { return max_size_; }
  [[nodiscard]] int keeps_first() const { return keep_; }

  // Fills a layer. sample: the same layer of the same model after another token, for shapes and dtypes.
  void restore(LayerCache& layer, const LayerCache& sample) const;

 private:
  size_t slot_;
  KeptParts parts_;  // oldest first
  int offset_ = 0;
  int keep_ = 0;
  std::optional<int> max_size_;
  std::optional<int> bits_;
  int group_size_ = 64;
};

}  // namespace pippin

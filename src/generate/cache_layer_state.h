// What one part of a model keeps, as mlx_lm has it in a file: the class of its cache, arrays and numbers.
// Source: KVCache, RotatingKVCache, QuantizedKVCache and ArraysCache of mlx_lm/models/cache.py 0.32.2.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <mlx/array.h>

#include "runtime/kv_cache.h"

namespace pippin {

using CacheArrays = std::unordered_map<std::string, mlx::core::array>;  // a file's, by name

struct CacheLayerState {
  std::string kind;                                // the name of mlx_lm's class
  std::map<std::string, mlx::core::array> arrays;  // by place: "0" keys, "1" values, or "0.0" and so on
  std::map<std::string, int> numbers;              // "2" offset; then what the class has
  std::vector<std::string> nothings;               // places of what is none
};

// What keys and values become in a file. Only below guarded(); throws a Fault where mlx_lm has no such cache.
CacheLayerState state_of(const LayerCache& layer);
// What the recent tokens and the states of a layer become: one ArraysCache. Only below guarded().
CacheLayerState state_of_arrays(std::span<const LayerCache* const> layers);

// Keys and values as a file has them. Arrays are checked for their number of dimensions and dtype only.
class StoredLayer {
 public:
  // Only below guarded(); throws Faults (bad_file, unsupported). place: "3", or "3.0.0" in a list. kind: the class.
  StoredLayer(std::string place, const std::string& kind, const CacheArrays& arrays);

  [[nodiscard]] std::optional<int> bits() const { return bits_; }
  [[nodiscard]] int group_size() const { return group_size_; }
  // Tokens that are kept at most, of a cache of limited size.
  [[nodiscard]] std::optional<int> max_size() const { return max_size_; }
  [[nodiscard]] int keeps_first() const { return keep_; }
  [[nodiscard]] int offset() const { return offset_; }  // tokens seen

  // Fills a layer. sample: the same layer of the same model after another token, for shapes and dtypes.
  void restore(LayerCache& layer, const LayerCache& sample) const;

 private:
  std::string place_;
  KeptParts parts_;  // oldest first
  int offset_ = 0;
  int keep_ = 0;
  std::optional<int> max_size_;
  std::optional<int> bits_;
  int group_size_ = 64;
};

// Fills the layers of an ArraysCache. offset: tokens seen, which such a cache does not tell. Only below guarded().
struct ArraysTarget {
  LayerCache* layer;
  const LayerCache* sample;
};
void restore_arrays(const std::string& place, const CacheArrays& arrays, std::span<const ArraysTarget> targets,
                    int offset);

}  // namespace pippin

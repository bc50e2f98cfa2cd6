// What a prompt cache file is made of, in mlx_lm's names: arrays, and texts as its metadata.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>

#include "generate/cache_layer_state.h"

namespace pippin {

class CacheFileContent {
 public:
  void set_text(const std::string& name, const std::string& text) { texts_[name] = text; }
  // Everything the cache keeps. Only below guarded(), as what follows.
  void add(const KvCache& cache);
  void save(const std::filesystem::path& path) const;

 private:
  void add_state(const std::string& place, const CacheLayerState& state);
  void add_special(const std::string& name, const mlx::core::array& array, const char* type);

  CacheArrays arrays_;
  std::unordered_map<std::string, std::string> texts_;
  size_t specials_ = 0;
};

}  // namespace pippin

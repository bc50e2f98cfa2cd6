// Which keys a query sees.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <mlx/array.h>

namespace pippin {

// Queries are the last `queries` of `seen` tokens; keys are the last `keys` of them, but where a cache of limited size
// has kept the first four as well.
struct MaskShape {
  int queries = 1;
  int keys = 1;
  int seen = 1;
  std::optional<int> window;  // a query sees itself and the window - 1 tokens before it
  std::optional<int> chunk;   // a query sees only tokens of its own chunk of that many positions
  bool causal = true;
  int max_size = 0;  // of the cache; 0: unlimited

  // Whether every query sees all keys up to its own, so that no array is needed.
  [[nodiscard]] bool plain_causal() const;
};

// A block-sparse pattern: a query sees the keys of its own block of positions and of the local - 1 blocks before it,
// and of all older blocks those whose number plus its head's, counted from 1, is a multiple of the stride.
struct BlockPattern {
  int size = 64;
  int local = 16;
  int stride = 8;

  // Whether all of so many tokens are in local blocks.
  [[nodiscard]] bool all_local(int tokens) const { return tokens <= size * local; }
};

// True where query i of a head sees key j by pattern and order: bool [1, heads, queries, keys].
mlx::core::array block_mask(int heads, const BlockPattern& pattern, const MaskShape& shape);

// True where query i sees key j: bool [queries, keys]. Made once a pass and kind. Nothing where all see all.
std::optional<mlx::core::array> pass_mask(std::map<std::string, mlx::core::array>& made, const MaskShape& shape);

// ALiBi (Press et al. 2021, arXiv:2108.12409): -slope(head) * distance, float32 [1, heads, queries, keys].
mlx::core::array alibi_slopes(int heads, const MaskShape& shape);

}  // namespace pippin

// Attention to few of many keys.
#pragma once

#include <optional>

#include <mlx/array.h>

namespace pippin {

// Keys are values too. Queries are the last `length` of `seen` tokens, keys the last ones: a query sees its own token's
// and the window - 1 before it, and beside them the rows that it has chosen.
struct SparseAttention {
  mlx::core::array q;                      // [batch, heads, length, dim]
  mlx::core::array keys;                   // [batch, 1, keys, dim]
  std::optional<mlx::core::array> rows;    // [batch, 1, rows, dim]
  std::optional<mlx::core::array> chosen;  // int32 [batch, length, count], each once; none where no row
  float scale = 1;
  int window = 1;
  std::optional<mlx::core::array> sinks;  // float32 [heads]
};

// In float32; the result [batch, heads, length, dim] in q's dtype. Where the rows are many, each query's own are laid
// side by side; else all are looked at and masked. Both give the same but for rounding.
mlx::core::array sparse_attention(const SparseAttention& attention);

}  // namespace pippin

// Blocks of keys that attention chooses among.
#pragma once

#include <mlx/array.h>

namespace pippin {

// The highest score in each block of `size` keys, of which the last may have fewer: [.., keys] -> [.., blocks].
mlx::core::array block_maxima(const mlx::core::array& scores, int size);

// True for the keys in the `count` strongest blocks, never in one of minus infinity: strength [.., blocks] -> bool of
// `shape`, [.., keys].
mlx::core::array in_strongest_blocks(const mlx::core::array& strength, int count, int size,
                                     const mlx::core::Shape& shape);

}  // namespace pippin

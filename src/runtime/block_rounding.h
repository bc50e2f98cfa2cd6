// Numbers as formats of 8 and 4 bits with a scale for each block would keep them.
#pragma once

#include <mlx/array.h>

namespace pippin {

enum class SmallFloat { fp8, fp4 };            // e4m3, up to 448; e2m1, up to 6
enum class BlockScale { power_of_two, e4m3 };  // rounded up; to the nearest

struct BlockRounding {
  SmallFloat format = SmallFloat::fp8;
  BlockScale scale = BlockScale::power_of_two;
  int size = 32;  // elements of the last axis with one scale
};

// x as it comes back from that format, in its own dtype; halves go to the even code. As it is where the last axis is no
// multiple of the size. A block's scale maps its largest element, or a smallest one of 1e-4 (fp8), 6 * 2^-126 (fp4) or
// 6 * 2^-9 (fp4 with e4m3 scales), to the format's largest number.
mlx::core::array block_rounded(const mlx::core::array& x, const BlockRounding& rounding);

}  // namespace pippin

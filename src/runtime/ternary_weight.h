// Ternary layers (BitNet b1.58, Ma et al. 2024, arXiv:2402.17764).
#pragma once

#include "runtime/module_weight.h"

namespace pippin {

// Four rows a byte, two bits an element: row i * rows + r of the layer has its elements in bits 2i of row r, as 0, 1 or
// 2 for -1, 0 and 1 times the scale (or by it: `divide`). They become the same numbers at 2 bits in affine mode, which
// all kernels know; dense where rows do not divide into groups. packed U8 [rows, in]; scale [1]. Throws Fault.
ModuleWeight unpack_ternary(const mlx::core::array& packed, const mlx::core::array& scale, bool divide,
                            const std::string& module);

}  // namespace pippin

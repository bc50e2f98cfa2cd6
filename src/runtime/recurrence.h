// Attention whose memory is one matrix a head, in MLX's own operations, for any device: linear attention and the gated
// delta rule (see src/linear/delta_rule.h), and the rule of RWKV-7. Errors of MLX are thrown.
#pragma once

#include <optional>
#include <utility>

#include <mlx/array.h>

namespace pippin {

// All float32. Heads of keys divide the heads of values into runs.
struct DeltaInputs {
  mlx::core::array q;                    // [batch, length, key heads, key width]
  mlx::core::array k;                    // the same
  mlx::core::array v;                    // [batch, length, heads, value width]
  mlx::core::array decay;                // [batch, length, heads, key width or 1]
  std::optional<mlx::core::array> beta;  // [batch, length, heads]; nothing: linear attention
};

// The functions take the state before, [batch, heads, key width, value width], and give the results, shaped as v, and
// the state behind the last token.
using Recurrence = std::pair<mlx::core::array, mlx::core::array>;

// Token by token.
Recurrence delta_steps(const DeltaInputs& in, mlx::core::array state);

// By chunks of up to 64 tokens, within which it is a product of matrices (Yang et al. 2024, arXiv:2412.06464, section
// 3.3). Equal to delta_steps within the rounding of float32. One decay for all of a head's keys: decay [.., 1].
Recurrence delta_chunks(const DeltaInputs& in, mlx::core::array state);

// All float32: v [batch, length, heads, value width], the others [.., key width].
struct TransitionInputs {
  mlx::core::array q, k, v, decay, a, b;
};

// For each token S = decay S + b (S^T a) + k v; the result is S^T q (RWKV-7: Peng et al. 2025, arXiv:2503.14456).
Recurrence transition_steps(const TransitionInputs& in, mlx::core::array state);

}  // namespace pippin

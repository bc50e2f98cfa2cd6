// Layers on the CPU by pippin's own kernels (src/linear). Each function gives nothing where its kernel does not know
// the dtypes or the packing; MLX's operation is the way then.
//
// Numbers: sums in float32, rounded once. MLX's CPU backend sums some products in the model's dtype, so that results
// differ by its rounding; docs/ARCHITECTURE.md has the bounds that tests hold.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <mlx/array.h>

#include "linear/activation.h"
#include "linear/thread_pool.h"
#include "runtime/module_weight.h"
#include "runtime/rope_frequencies.h"

namespace pippin {

using HostPool = std::shared_ptr<ThreadPool>;
using MaybeArray = std::optional<mlx::core::array>;

// Layers that read the same x, made ready once.
class HostLinear {
 public:
  // Nothing where the kernels cannot read one of the weights, or their inputs differ in width.
  static std::optional<HostLinear> of(const HostPool& pool, std::vector<ModuleWeight> weights);

  // x W^T + bias for each weight, in one operation; none where x has another width or dtype than the kernels take.
  [[nodiscard]] std::vector<mlx::core::array> operator()(const mlx::core::array& x) const;

 private:
  struct Layers;
  std::shared_ptr<const Layers> layers_;
};
// Rows of the table.
MaybeArray host_embedding(const mlx::core::array& ids, const ModuleWeight& weight);
// x [batch, length, 1 or count, 1, in], chosen [batch, length, count]; see switch_linear in src/linear/linear.h.
MaybeArray host_switch_linear(const HostPool& pool, const mlx::core::array& x, const mlx::core::array& chosen,
                              const ModuleWeight& weight);
// x [batch, heads, length, in] times a matrix a head.
MaybeArray host_multi_linear(const HostPool& pool, const mlx::core::array& x, const ModuleWeight& weight,
                             bool transpose);

MaybeArray host_rms_norm(const HostPool& pool, const mlx::core::array& x, const MaybeArray& weight, float epsilon);
// x + y and its norm.
std::optional<std::pair<mlx::core::array, mlx::core::array>> host_add_rms_norm(const HostPool& pool,
                                                                               const mlx::core::array& x,
                                                                               const mlx::core::array& y,
                                                                               const MaybeArray& weight, float epsilon);
MaybeArray host_layer_norm(const HostPool& pool, const mlx::core::array& x, const MaybeArray& weight,
                           const MaybeArray& bias, float epsilon);
MaybeArray host_rope(const HostPool& pool, const mlx::core::array& x, const RopeTable& table,
                     const std::shared_ptr<const std::vector<float>>& frequencies, int offset);
MaybeArray host_activation(const HostPool& pool, Activation activation, const mlx::core::array& x);
// f(gate) up.
MaybeArray host_gated(const HostPool& pool, Activation activation, const mlx::core::array& gate,
                      const mlx::core::array& up);

// Queries [batch, heads, n, dim]; keys and values of `length` tokens at the front of stores with more room. The last
// query sees all of them. Windows and chunks by `mask` (bool [n, length]) or `window`.
struct HostAttention {
  float scale = 1;
  float softcap = 0;
  bool causal = true;
  int window = 0;  // 0: none
  int length = 0;
  int value_dim = 0;  // the first elements of a value that count
  MaybeArray mask;
  MaybeArray sinks;
};
MaybeArray host_attention(const HostPool& pool, const mlx::core::array& q, const mlx::core::array& keys,
                          const mlx::core::array& values, const HostAttention& attention);

// The gated delta rule, or without beta linear attention; see src/linear/delta_rule.h. q, k [batch, length, key heads,
// key width], v [batch, length, heads, value width], decay [.., key width or 1], beta [batch, length, heads], state
// [batch, heads, key width, value width]; all float32. Gives the results, shaped as v, and the state after them.
std::pair<mlx::core::array, mlx::core::array> host_delta_rule(const HostPool& pool, const mlx::core::array& q,
                                                              const mlx::core::array& k, const mlx::core::array& v,
                                                              const mlx::core::array& decay, const MaybeArray& beta,
                                                              const mlx::core::array& state);

}  // namespace pippin

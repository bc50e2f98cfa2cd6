#include "linear/delta_rule.h"
#include "runtime/host_layers.h"
#include "runtime/host_operation.h"

namespace pippin {

namespace mx = mlx::core;

std::pair<mx::array, mx::array> host_delta_rule(const HostPool& pool, const mx::array& q, const mx::array& k,
                                                const mx::array& v, const mx::array& decay, const MaybeArray& beta,
                                                const mx::array& state) {
  std::vector<mx::array> inputs{q, k, v, decay, state};
  if (beta) inputs.push_back(*beta);
  const auto results = host_operation("PippinDeltaRule", inputs, {v.shape(), state.shape()}, {mx::float32, mx::float32},
                                      [pool](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                                        const auto numbers = [&in](size_t input) {
                                          return reinterpret_cast<const float*>(in[input].data);
                                        };
                                        DeltaRule task;
                                        task.batch = in[2].shape[0];
                                        task.length = in[2].shape[1];
                                        task.heads = in[2].shape[2];
                                        task.key_heads = in[0].shape[2];
                                        task.key_dim = in[0].shape[3];
                                        task.value_dim = in[2].shape[3];
                                        task.decays = in[3].shape[3];
                                        task.q = numbers(0);
                                        task.k = numbers(1);
                                        task.v = numbers(2);
                                        task.decay = numbers(3);
                                        task.before = numbers(4);
                                        if (in.size() > 5) task.beta = numbers(5);
                                        task.out = reinterpret_cast<float*>(out[0].data);
                                        task.after = reinterpret_cast<float*>(out[1].data);
                                        delta_rule(*pool, task);
                                      });
  return {results[0], results[1]};
}

}  // namespace pippin

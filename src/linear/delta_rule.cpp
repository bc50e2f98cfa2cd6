#include "linear/delta_rule.h"

#include <algorithm>
#include <vector>

namespace pippin {
namespace {

// One token of one head: a row of v and one of q and k. `change` has room for value_dim numbers.
void step(const DeltaRule& task, int64_t row, int64_t key_row, float* state, float* change) {
  const float* q = task.q + key_row * task.key_dim;
  const float* k = task.k + key_row * task.key_dim;
  const float* v = task.v + row * task.value_dim;
  const float* decay = task.decay + row * task.decays;
  float* out = task.out + row * task.value_dim;
  std::fill_n(change, task.value_dim, 0.0F);
  for (int64_t i = 0; i < task.key_dim; ++i) {
    float* line = state + i * task.value_dim;
    const float kept = decay[task.decays == 1 ? 0 : i];
    const float key = k[i];
    for (int64_t j = 0; j < task.value_dim; ++j) {
      line[j] *= kept;
      change[j] += line[j] * key;
    }
  }
  if (task.beta == nullptr) {
    std::copy_n(v, task.value_dim, change);
  } else {
    const float beta = task.beta[row];
    for (int64_t j = 0; j < task.value_dim; ++j) change[j] = (v[j] - change[j]) * beta;
  }
  std::fill_n(out, task.value_dim, 0.0F);
  for (int64_t i = 0; i < task.key_dim; ++i) {
    float* line = state + i * task.value_dim;
    const float key = k[i];
    const float query = q[i];
    for (int64_t j = 0; j < task.value_dim; ++j) {
      line[j] += key * change[j];
      out[j] += line[j] * query;
    }
  }
}

}  // namespace

void delta_rule(ThreadPool& pool, const DeltaRule& task) {
  pool.parallel_for(task.batch * task.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> change(static_cast<size_t>(task.value_dim));
    const int64_t size = task.key_dim * task.value_dim;
    for (int64_t lane = begin; lane < end; ++lane) {
      float* state = task.after + lane * size;
      std::copy_n(task.before + lane * size, size, state);
      const int64_t first = lane / task.heads * task.length;
      const int64_t head = lane % task.heads;
      const int64_t key_head = head / (task.heads / task.key_heads);
      for (int64_t t = first; t < first + task.length; ++t)
        step(task, t * task.heads + head, t * task.key_heads + key_head, state, change.data());
    }
  });
}

}  // namespace pippin

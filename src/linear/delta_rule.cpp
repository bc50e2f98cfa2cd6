#include "linear/delta_rule.h"

#include <algorithm>
#include <vector>

namespace pippin {
namespace {

// One token of one head. `change` has room for value_dim numbers.
void step(const DeltaRule& task, int64_t row, float* state, float* change) {
  const float* q = task.q + row * task.key_dim;
  const float* k = task.k + row * task.key_dim;
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
  const float beta = task.beta[row];
  for (int64_t j = 0; j < task.value_dim; ++j) change[j] = (v[j] - change[j]) * beta;
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
      const int64_t first = lane / task.heads * task.length * task.heads + lane % task.heads;
      for (int64_t t = 0; t < task.length; ++t) step(task, first + t * task.heads, state, change.data());
    }
  });
}

}  // namespace pippin

// The gated delta rule (Yang et al. 2024, arXiv:2412.06464): attention whose memory is one matrix a head.
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"

namespace pippin {

// All arrays are float32 and row-contiguous. Sums go over the key width in order.
struct DeltaRule {
  int64_t batch = 1;
  int64_t length = 0;
  int64_t heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  int64_t decays = 1;             // key_dim, or 1: one for all
  const float* q = nullptr;       // [batch, length, heads, key_dim]
  const float* k = nullptr;       // the same
  const float* v = nullptr;       // [batch, length, heads, value_dim]
  const float* decay = nullptr;   // [batch, length, heads, decays]
  const float* beta = nullptr;    // [batch, length, heads]
  const float* before = nullptr;  // the state S, [batch, heads, key_dim, value_dim]
  float* out = nullptr;           // as v
  float* after = nullptr;         // the state behind the last token
};

// For each token: S = decay S + k (v - (decay S)^T k) beta, out = S^T q. The bits do not depend on the threads.
void delta_rule(ThreadPool& pool, const DeltaRule& task);

}  // namespace pippin

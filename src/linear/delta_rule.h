// Attention whose memory is one matrix a head: linear attention with a decay, as in Mamba-2 (Dao and Gu 2024,
// arXiv:2405.21060), and the gated delta rule (Yang et al. 2024, arXiv:2412.06464).
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"

namespace pippin {

// All arrays are float32 and row-contiguous. Sums go over the key width in order.
struct DeltaRule {
  int64_t batch = 1;
  int64_t length = 0;
  int64_t heads = 0;
  int64_t key_heads = 0;  // heads divide into as many runs, each with one q and k
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  int64_t decays = 1;             // key_dim, or 1: one for all
  const float* q = nullptr;       // [batch, length, key_heads, key_dim]
  const float* k = nullptr;       // the same
  const float* v = nullptr;       // [batch, length, heads, value_dim]
  const float* decay = nullptr;   // [batch, length, heads, decays]
  const float* beta = nullptr;    // [batch, length, heads]; null: linear attention
  const float* before = nullptr;  // the state S, [batch, heads, key_dim, value_dim]
  float* out = nullptr;           // as v
  float* after = nullptr;         // the state behind the last token
};

// For each token: S = decay S + k (v - (decay S)^T k) beta, or decay S + k v; out = S^T q. The bits do not depend on
// the threads.
void delta_rule(ThreadPool& pool, const DeltaRule& task);

}  // namespace pippin

// Scaled dot product attention, for one query (decoding) and for many (reading a prompt).
//
// Dtypes: q, k, v, out are F32, F16 or BF16, all the same; scores, softmax and sums are float, never rounded between.
// Nothing of size queries * length is allocated. The result does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"
#include "pippin/dtype.h"

namespace pippin {

// [batch, heads, rows, dim] with a contiguous last axis; strides in elements.
struct HeadRows {
  const void* data = nullptr;
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;
};

enum class MaskKind : uint8_t { none, boolean, additive };

// Broadcast over an axis by stride 0. boolean: one byte, 0 hides the key. additive: added to the scaled scores.
struct AttentionMask {
  MaskKind kind = MaskKind::none;
  DType dtype = DType::F32;  // of an additive mask: F32, F16 or BF16
  const void* data = nullptr;
  int64_t batch_stride = 0, head_stride = 0, query_stride = 0, key_stride = 1;
};

// out[b, h, i] = sum_j softmax_j(score(i, j)) v[b, h / (heads / kv_heads), j],
// score = cap(scale * q . k) + mask, cap(s) = softcap * tanh(s / softcap).
// causal: query i sees the keys j <= i + length - queries. window > 0: and of these the last `window`.
// sinks: one more score a head, which has no value. A query that sees nothing gets zeros.
struct Attention {
  DType dtype = DType::F32;
  int64_t batch = 1;
  int64_t heads = 1;
  int64_t kv_heads = 1;  // divides heads
  int64_t queries = 1;
  int64_t length = 0;  // keys
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  HeadRows q, k, v;
  void* out = nullptr;  // [batch, heads, queries, value_dim] by these strides
  int64_t out_batch_stride = 0, out_head_stride = 0, out_row_stride = 0;
  float scale = 1;
  float softcap = 0;  // 0: none
  bool causal = false;
  int64_t window = 0;  // 0: none
  AttentionMask mask;
  const void* sinks = nullptr;  // null, or `heads` elements of sinks_dtype
  DType sinks_dtype = DType::F32;
};
void attention(ThreadPool& pool, const Attention& attention);

}  // namespace pippin

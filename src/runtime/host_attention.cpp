#include "linear/attention.h"
#include "runtime/host_layers.h"
#include "runtime/host_operation.h"
#include "runtime/mlx_dtype.h"

#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

HeadRows heads_of(const HostBuffer& buffer) {
  return {buffer.data, buffer.strides[0], buffer.strides[1], buffer.strides[2]};
}

}  // namespace

MaybeArray host_attention(const HostPool& pool, const mx::array& q, const mx::array& keys, const mx::array& values,
                          const HostAttention& settings) {
  if (!floating_dtype_of(q.dtype()) || keys.dtype() != q.dtype() || values.dtype() != q.dtype()) return std::nullopt;
  std::vector<mx::array> inputs{q, keys, values};
  if (settings.mask) inputs.push_back(*settings.mask);
  // Rows of all heads side by side, as the layer behind wants them.
  const mx::Shape shape{q.shape(0), q.shape(2), q.shape(1), settings.value_dim};
  HostAttention own = settings;
  own.mask.reset();
  const bool masked = settings.mask.has_value();
  mx::array rows = host_operation(
      "PippinAttention", inputs, shape, q.dtype(),
      [pool, own, masked](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
        Attention task;
        task.dtype = *floating_dtype_of(in[0].dtype);
        task.batch = in[0].shape[0];
        task.heads = in[0].shape[1];
        task.kv_heads = in[1].shape[1];
        task.queries = in[0].shape[2];
        task.length = own.length;
        task.key_dim = in[0].shape[3];
        task.value_dim = own.value_dim;
        task.q = heads_of(in[0]);
        task.k = heads_of(in[1]);
        task.v = heads_of(in[2]);
        task.out = out[0].data;
        task.out_head_stride = own.value_dim;
        task.out_row_stride = own.value_dim * task.heads;
        task.out_batch_stride = task.out_row_stride * task.queries;
        task.scale = own.scale;
        task.softcap = own.softcap;
        task.causal = own.causal && !masked;
        task.window = masked ? 0 : own.window;
        if (masked) {
          task.mask.kind = MaskKind::boolean;
          task.mask.data = in[3].data;
          task.mask.query_stride = in[3].strides[0];
          task.mask.key_stride = in[3].strides[1];
        }
        if (own.sinks) {
          task.sinks = own.sinks->data<char>();
          task.sinks_dtype = *floating_dtype_of(own.sinks->dtype());
        }
        attention(*pool, task);
      },
      false);
  return mx::transpose(rows, {0, 2, 1, 3});
}

}  // namespace pippin

#include "linear/normalization.h"
#include "linear/rotary.h"
#include "runtime/host_layers.h"
#include "runtime/host_operation.h"
#include "runtime/mlx_dtype.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

NormRows rows_of(const HostBuffer& x, const HostBuffer& out) {
  NormRows rows;
  rows.dtype = *floating_dtype_of(x.dtype);
  rows.x = x.data;
  rows.size = x.shape.back();
  rows.x_stride = rows.size;
  rows.out = out.data;
  rows.out_stride = rows.size;
  rows.count = 1;
  for (size_t axis = 0; axis + 1 < x.shape.size(); ++axis) rows.count *= x.shape[axis];
  return rows;
}

// The weight of a norm lies dense and has x's dtype and width.
bool fits(const MaybeArray& weight, const mx::array& x) {
  return !weight || (weight->dtype() == x.dtype() && weight->ndim() == 1 &&
                     weight->size() == static_cast<size_t>(x.shape(-1)) && weight->flags().row_contiguous);
}

const void* data_of(const MaybeArray& array) {
  return array ? array->data<char>() : nullptr;
}

int64_t count_of(const HostBuffer& buffer) {
  int64_t count = 1;
  for (const int extent : buffer.shape) count *= extent;
  return count;
}

}  // namespace

MaybeArray host_rms_norm(const HostPool& pool, const mx::array& x, const MaybeArray& weight, float epsilon) {
  if (!floating_dtype_of(x.dtype()) || !fits(weight, x)) return std::nullopt;
  return host_operation("PippinRmsNorm", {x}, x.shape(), x.dtype(),
                        [pool, weight, epsilon](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          rms_norm(*pool, rows_of(in[0], out[0]), data_of(weight), epsilon);
                        });
}

std::optional<std::pair<mx::array, mx::array>> host_add_rms_norm(const HostPool& pool, const mx::array& x,
                                                                 const mx::array& y, const MaybeArray& weight,
                                                                 float epsilon) {
  const bool same = x.dtype() == y.dtype() && x.shape() == y.shape();
  if (!same || !floating_dtype_of(x.dtype()) || !fits(weight, x)) return std::nullopt;
  auto both =
      host_operation("PippinAddRmsNorm", {x, y}, {x.shape(), x.shape()}, {x.dtype(), x.dtype()},
                     [pool, weight, epsilon](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                       add_rms_norm(*pool, rows_of(in[0], out[1]), in[1].data, out[0].data, data_of(weight), epsilon);
                     });
  return std::pair{both[0], both[1]};
}

MaybeArray host_layer_norm(const HostPool& pool, const mx::array& x, const MaybeArray& weight, const MaybeArray& bias,
                           float epsilon) {
  if (!floating_dtype_of(x.dtype()) || !fits(weight, x) || !fits(bias, x)) return std::nullopt;
  return host_operation("PippinLayerNorm", {x}, x.shape(), x.dtype(),
                        [pool, weight, bias, epsilon](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          layer_norm(*pool, rows_of(in[0], out[0]), data_of(weight), data_of(bias), epsilon);
                        });
}

MaybeArray host_rope(const HostPool& pool, const mx::array& x, const RopeTable& table,
                     const std::shared_ptr<const std::vector<float>>& frequencies, int offset) {
  if (!floating_dtype_of(x.dtype()) || x.ndim() != 4 || table.dims > x.shape(3)) return std::nullopt;
  return host_operation(
      "PippinRope", {x}, x.shape(), x.dtype(),
      [pool, frequencies, offset, dims = table.dims, traditional = table.traditional,
       amplitude = static_cast<float>(table.amplitude)](std::span<const HostBuffer> in,
                                                        std::span<const HostBuffer> out) {
        const HostBuffer& from = in[0];
        Rotary rotary;
        rotary.dtype = *floating_dtype_of(from.dtype);
        rotary.batch = from.shape[0];
        rotary.heads = from.shape[1];
        rotary.length = from.shape[2];
        rotary.size = from.shape[3];
        // Heads lie side by side in memory before they are transposed: strides save a copy.
        rotary.x = from.data;
        rotary.x_batch_stride = from.strides[0];
        rotary.x_head_stride = from.strides[1];
        rotary.x_row_stride = from.strides[2];
        rotary.out = out[0].data;
        rotary.out_row_stride = rotary.size;
        rotary.out_head_stride = rotary.size * rotary.length;
        rotary.out_batch_stride = rotary.out_head_stride * rotary.heads;
        rotary.dims = dims;
        rotary.traditional = traditional;
        rotary.frequencies = frequencies->data();
        rotary.offset = offset;
        rotary.amplitude = amplitude;
        rotate(*pool, rotary);
      },
      false);
}

MaybeArray host_activation(const HostPool& pool, Activation activation, const mx::array& x) {
  if (!floating_dtype_of(x.dtype())) return std::nullopt;
  return host_operation("PippinActivation", {x}, x.shape(), x.dtype(),
                        [pool, activation](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          activate(*pool, activation, *floating_dtype_of(in[0].dtype), in[0].data, out[0].data,
                                   count_of(in[0]));
                        });
}

MaybeArray host_gated(const HostPool& pool, Activation activation, const mx::array& gate, const mx::array& up) {
  if (!floating_dtype_of(gate.dtype()) || gate.dtype() != up.dtype() || gate.shape() != up.shape()) return std::nullopt;
  return host_operation("PippinGated", {gate, up}, gate.shape(), gate.dtype(),
                        [pool, activation](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          activate_gated(*pool, activation, *floating_dtype_of(in[0].dtype), in[0].data, in[1].data,
                                         out[0].data, count_of(in[0]));
                        });
}

}  // namespace pippin

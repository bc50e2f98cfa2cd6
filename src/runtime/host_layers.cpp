#include "runtime/host_layers.h"

#include <algorithm>

#include <mlx/ops.h>

#include "linear/linear.h"
#include "runtime/host_operation.h"
#include "runtime/mlx_dtype.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

bool lies_dense(const MaybeArray& array) {
  return !array || array->flags().row_contiguous;
}

// The weight as the kernels see it, where they can read it; the arrays must have been evaluated.
std::optional<WeightView> view_of(const ModuleWeight& weight) {
  const mx::array& w = weight.weight;
  if (w.ndim() < 2) return std::nullopt;
  if (!lies_dense(w) || !lies_dense(weight.scales) || !lies_dense(weight.biases) || !lies_dense(weight.bias))
    return std::nullopt;
  if (weight.bias && !floating_dtype_of(weight.bias->dtype())) return std::nullopt;
  WeightView view;
  view.rows = w.shape(-2);
  view.columns = weight.columns();
  for (int axis = 0; axis + 2 < static_cast<int>(w.ndim()); ++axis) view.matrices *= w.shape(axis);
  view.values = w.data<char>();
  const auto dtype = floating_dtype_of(weight.scales && weight.biases ? weight.scales->dtype() : w.dtype());
  if (weight.scales) {
    view.format = weight.packing;
    view.scales = weight.scales->data<char>();
    if (weight.biases) view.biases = weight.biases->data<char>();
    if (weight.biases && !dtype) return std::nullopt;
    if (weight.biases && weight.biases->dtype() != weight.scales->dtype()) return std::nullopt;
  } else if (!dtype) {
    return std::nullopt;
  }
  if (dtype) view.dtype = *dtype;
  if (!check(view)) return std::nullopt;
  return view;
}

// The dtype of a product, where the kernels give it: that of x.
bool keeps_dtype(const mx::array& x, const ModuleWeight& weight) {
  const mx::Dtype other = weight.scales ? (weight.biases ? weight.scales->dtype() : x.dtype()) : weight.weight.dtype();
  return floating_dtype_of(x.dtype()) && mx::promote_types(x.dtype(), other) == x.dtype();
}

LinearOutput output_of(const ModuleWeight& weight, const WeightView& view) {
  LinearOutput output;
  output.weight = view;
  if (weight.bias) {
    output.bias = weight.bias->data<char>();
    output.bias_dtype = *floating_dtype_of(weight.bias->dtype());
  }
  output.stride = view.rows;
  return output;
}

InputRows rows_of(const HostBuffer& x) {
  InputRows rows;
  rows.dtype = *floating_dtype_of(x.dtype);
  rows.data = x.data;
  rows.columns = x.shape.back();
  rows.stride = rows.columns;
  rows.count = 1;
  for (size_t axis = 0; axis + 1 < x.shape.size(); ++axis) rows.count *= x.shape[axis];
  return rows;
}

}  // namespace

struct HostLinear::Layers {
  HostPool pool;
  std::vector<ModuleWeight> weights;
  std::vector<LinearOutput> outputs;
  std::vector<mx::Dtype> takes;  // the dtypes of x that keep theirs
};

std::optional<HostLinear> HostLinear::of(const HostPool& pool, std::vector<ModuleWeight> weights) {
  auto layers = std::make_shared<Layers>();
  for (const ModuleWeight& weight : weights) {
    const auto view = view_of(weight);
    if (!view || weight.weight.ndim() != 2 || weight.columns() != weights[0].columns()) return std::nullopt;
    layers->outputs.push_back(output_of(weight, *view));
  }
  for (const mx::Dtype dtype : {mx::float32, mx::bfloat16, mx::float16}) {
    const mx::array x = mx::zeros({1}, dtype);
    const bool all = std::all_of(weights.begin(), weights.end(), [&x](const auto& w) { return keeps_dtype(x, w); });
    if (all) layers->takes.push_back(dtype);
  }
  layers->pool = pool;
  layers->weights = std::move(weights);
  HostLinear made;
  made.layers_ = std::move(layers);
  return made;
}

std::vector<mx::array> HostLinear::operator()(const mx::array& x) const {
  const bool takes = std::find(layers_->takes.begin(), layers_->takes.end(), x.dtype()) != layers_->takes.end();
  if (!takes || x.shape(-1) != layers_->outputs[0].weight.columns) return {};
  std::vector<mx::Shape> shapes;
  for (const auto& output : layers_->outputs) {
    shapes.push_back(x.shape());
    shapes.back().back() = static_cast<int>(output.weight.rows);
  }
  const std::vector<mx::Dtype> dtypes(shapes.size(), x.dtype());
  return host_operation("PippinLinear", {x}, std::move(shapes), dtypes,
                        [layers = layers_](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          std::vector<LinearOutput> filled = layers->outputs;
                          for (size_t k = 0; k < filled.size(); ++k) filled[k].data = out[k].data;
                          linear(*layers->pool, rows_of(in[0]), filled);
                        });
}

MaybeArray host_embedding(const mx::array& ids, const ModuleWeight& weight) {
  const auto view = view_of(weight);
  if (!view || ids.dtype() != mx::int32) return std::nullopt;
  // Without scales of a floating dtype MLX gives BF16.
  const mx::Dtype dtype =
      weight.scales ? (weight.biases ? weight.scales->dtype() : mx::bfloat16) : weight.weight.dtype();
  mx::Shape shape = ids.shape();
  shape.push_back(static_cast<int>(view->columns));
  return host_operation("PippinEmbedding", {ids}, std::move(shape), dtype,
                        [weight, view = *view](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          size_t count = 1;
                          for (const int extent : in[0].shape) count *= static_cast<size_t>(extent);
                          const auto* first = reinterpret_cast<const int32_t*>(in[0].data);
                          embed(view, {first, count}, *floating_dtype_of(out[0].dtype), out[0].data);
                        });
}

MaybeArray host_switch_linear(const HostPool& pool, const mx::array& x, const mx::array& chosen,
                              const ModuleWeight& weight) {
  const auto view = view_of(weight);
  if (!view || !keeps_dtype(x, weight) || x.ndim() != 5 || chosen.ndim() != 3) return std::nullopt;
  if (x.shape(-1) != view->columns) return std::nullopt;
  const mx::array experts = chosen.dtype() == mx::int32 ? chosen : mx::astype(chosen, mx::int32);
  const mx::Shape shape{chosen.shape(0), chosen.shape(1), chosen.shape(2), 1, static_cast<int>(view->rows)};
  return host_operation("PippinSwitchLinear", {x, experts}, shape, x.dtype(),
                        [pool, weight, view = *view](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
                          ExpertChoice choice;
                          choice.experts = reinterpret_cast<const int32_t*>(in[1].data);
                          choice.tokens = int64_t{in[1].shape[0]} * in[1].shape[1];
                          choice.choices = in[1].shape[2];
                          choice.x_per_choice = in[0].shape[2] != 1;
                          LinearOutput output = output_of(weight, view);
                          output.data = out[0].data;
                          switch_linear(*pool, rows_of(in[0]), choice, {&output, 1});
                        });
}

MaybeArray host_multi_linear(const HostPool& pool, const mx::array& x, const ModuleWeight& weight, bool transpose) {
  const auto view = view_of(weight);
  if (!view || !keeps_dtype(x, weight) || x.ndim() != 4 || weight.bias) return std::nullopt;
  const int64_t width = transpose ? view->columns : view->rows;
  if (x.shape(1) != view->matrices || x.shape(3) != width) return std::nullopt;
  mx::Shape shape = x.shape();
  shape[3] = static_cast<int>(transpose ? view->rows : view->columns);
  return host_operation(
      "PippinMultiLinear", {x}, shape, x.dtype(),
      [pool, weight, view = *view, transpose](std::span<const HostBuffer> in, std::span<const HostBuffer> out) {
        MultiLinear product;
        product.weight = view;
        product.transposed = transpose;
        product.dtype = *floating_dtype_of(in[0].dtype);
        product.batch = in[0].shape[0];
        product.m = in[0].shape[2];
        product.x = in[0].data;
        product.x_row_stride = in[0].shape[3];
        product.x_head_stride = product.x_row_stride * product.m;
        product.x_batch_stride = product.x_head_stride * in[0].shape[1];
        product.y = out[0].data;
        product.y_row_stride = out[0].shape[3];
        product.y_head_stride = product.y_row_stride * product.m;
        product.y_batch_stride = product.y_head_stride * out[0].shape[1];
        multi_linear(*pool, product);
      });
}

}  // namespace pippin

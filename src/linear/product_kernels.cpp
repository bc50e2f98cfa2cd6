#include "linear/product_kernels.h"

#include <vector>

#include "linear/scalar_products.h"
#include "tensor/isa.h"
#include "tensor/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linear/product_kernels.cpp"
#include "hwy/foreach_target.h"
#include "linear/many_rows_inl.h"

HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
#if PIPPIN_HAS_LANES
namespace {

ColumnOrder order(const WeightView& weight) {
  ColumnOrder found;
  found.columns = weight.columns;
  for_codec(weight, [&]<typename Codec>() {
    found.lanes = Codec::is_quantized ? lane_count : lane_count * Codec::per_lane;
    found.per_lane = Codec::is_quantized ? Codec::per_lane : 1;
    found.group_size = Codec::has_biases ? weight.format->group_size : 0;
  });
  return found;
}

void put_in_order(const ColumnOrder& order, const float* natural, float* out) {
  alignas(64) int32_t index[lane_count];
  for (int64_t l = 0; l < lane_count; ++l) index[l] = static_cast<int32_t>(l * order.per_lane);
  const auto indices = hn::Load(integers, index);
  for (int64_t begin = 0; begin < order.padded(); begin += order.block()) {
    for (int64_t j = 0; j < order.per_lane; ++j) {
      const auto v = hn::GatherIndex(floats, natural + begin + j, indices);
      hn::StoreU(v, floats, out + begin + j * lane_count);
    }
  }
}

void prepare(const ColumnOrder& order, const float* natural, float* out) {
  if (order.per_lane == 1) {
    std::copy_n(natural, order.padded(), out);
  } else {
    put_in_order(order, natural, out);
  }
  float* sums = out + order.padded();
  std::fill_n(sums, order.sums(), 0.0f);
  if (order.group_size == 0) return;
  for (int64_t g = 0; g < order.columns / order.group_size; ++g) {
    auto sum = hn::Zero(floats);
    for (int64_t i = 0; i < order.group_size; i += lane_count) {
      sum = hn::Add(sum, hn::LoadU(floats, natural + g * order.group_size + i));
    }
    sums[g] = hn::GetLane(hn::SumOfLanes(floats, sum));
  }
}

void few(const FewRows& job) {
  for_codec(*job.rows.weight, [&]<typename Codec>() { few_inputs<Codec>(job); });
}

void decode(const WeightRows& rows, float* out, int64_t stride) {
  for_codec(*rows.weight, [&]<typename Codec>() { decode_rows<Codec>(rows, out, stride); });
}

}  // namespace

ProductKernels kernels_for_products() {
  return {hwy::TargetName(HWY_TARGET), HWY_TARGET, order, prepare, few, decode, many_inputs};
}
#else
ProductKernels kernels_for_products() {
  return {};
}
#endif
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pippin {

std::span<const ProductKernels> product_kernels() {
  static const std::vector<ProductKernels> kernels = [] {
    ProductKernels (*const best_first[])() = {HWY_CHOOSE_TARGET_LIST(kernels_for_products)};
    const ProductKernels scalar{"SCALAR", 0, scalar_order, scalar_prepare, scalar_few, scalar_decode, scalar_many};
    return runnable_kernels<ProductKernels>(best_first, scalar);
  }();
  return kernels;
}

const ProductKernels& chosen_product_kernels() {
  static const ProductKernels& chosen = chosen_kernels(product_kernels());
  return chosen;
}

}  // namespace pippin
#endif

#include "linear/prepared_rows.h"

#include <algorithm>

#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t values_a_piece = 16384;

}  // namespace

PreparedRows::Rows PreparedRows::in_order_of(const WeightView& weight) {
  const ColumnOrder order = kernels_.order(weight);
  // A line more, so that rows of a power of two do not fight for the same places in the cache.
  const int64_t stride = order.padded() + order.sums() + floats_a_line;
  for (const Ordered& each : ordered_) {
    if (each.order == order) return {each.data.get(), stride};
  }
  ordered_.push_back({order, float_buffer(static_cast<int64_t>(rows_.size()) * stride)});
  prepare(order, stride, ordered_.back().data.get());
  return {ordered_.back().data.get(), stride};
}

void PreparedRows::prepare(const ColumnOrder& order, int64_t stride, float* out) const {
  const int64_t grain = std::max<int64_t>(1, values_a_piece / std::max<int64_t>(1, columns_));
  pool_.parallel_for(static_cast<int64_t>(rows_.size()), grain, [&](int64_t begin, int64_t end) {
    std::vector<float> natural(static_cast<size_t>(order.padded()));
    for (int64_t i = begin; i < end; ++i) {
      cast(dtype_, rows_[static_cast<size_t>(i)], DType::F32, natural.data(), columns_);
      kernels_.prepare(order, natural.data(), out + i * stride);
    }
  });
}

}  // namespace pippin

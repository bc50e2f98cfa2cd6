// Scales and biases of some rows of a weight as floats. Compiled once for each instruction set.
#if defined(PIPPIN_LINEAR_SCALE_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_LINEAR_SCALE_ROWS_INL_H
#undef PIPPIN_LINEAR_SCALE_ROWS_INL_H
#else
#define PIPPIN_LINEAR_SCALE_ROWS_INL_H
#endif

#include <algorithm>
#include <cstring>

#include "linear/product_kernels.h"
#include "tensor/lanes_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// E8M0 has no sign and no mantissa: the byte is a float's exponent, but for 2^-127 and NaN.
struct E8m0Lanes {
  using Storage = uint8_t;
  static HWY_INLINE FloatVector load(const uint8_t* in) {
    const auto byte = hn::PromoteTo(words, hn::LoadU(bytes, in));
    const auto exponent = hn::ShiftLeft<23>(byte);
    const auto least = hn::IfThenElse(hn::Eq(byte, hn::Zero(words)), hn::Set(words, 0x400000u), exponent);
    return float_of(hn::IfThenElse(hn::Eq(byte, hn::Set(words, 0xFFu)), hn::Set(words, 0x7FC00000u), least));
  }
};

// `out` has room for `count` rounded up to whole vectors.
template <typename In>
HWY_INLINE void load_scales(const void* scales, int64_t first, int64_t count, float* out) {
  using Storage = typename In::Storage;
  const auto* in = static_cast<const Storage*>(scales) + first;
  int64_t i = 0;
  for (; i + lane_count <= count; i += lane_count) hn::StoreU(In::load(in + i), floats, out + i);
  if (i == count) return;
  Storage rest[lane_count] = {};
  std::memcpy(rest, in + i, static_cast<size_t>(count - i) * sizeof(Storage));
  hn::StoreU(In::load(rest), floats, out + i);
}

HWY_INLINE void load_affine_scales(DType dtype, const void* scales, int64_t first, int64_t count, float* out) {
  if (dtype == DType::BF16) return load_scales<Lanes<DType::BF16>>(scales, first, count, out);
  if (dtype == DType::F16) return load_scales<Lanes<DType::F16>>(scales, first, count, out);
  return load_scales<Lanes<DType::F32>>(scales, first, count, out);
}

// Groups of a few rows. Reading a whole vector from any group is allowed.
struct ScaleRows {
  std::vector<float> scales;
  std::vector<float> biases;
  int64_t groups = 0;  // a row

  explicit ScaleRows(const WeightRows& rows) {
    const WeightView& weight = *rows.weight;
    if (!weight.format) return;
    groups = weight.columns / weight.format->group_size;
    const int64_t first = (rows.matrix * weight.rows + rows.row) * groups;
    const int64_t count = rows.count * groups;
    scales.resize(static_cast<size_t>(count + 2 * lane_count));
    if (weight.format->mode == QuantMode::affine) {
      biases.resize(scales.size());
      load_affine_scales(weight.dtype, weight.scales, first, count, scales.data());
      load_affine_scales(weight.dtype, weight.biases, first, count, biases.data());
    } else if (weight.format->mode == QuantMode::nvfp4) {
      load_scales<Lanes<DType::F8_E4M3>>(weight.scales, first, count, scales.data());
    } else {
      load_scales<E8m0Lanes>(weight.scales, first, count, scales.data());
    }
  }
};

// Which group each lane of a block belongs to, counted from the block's first.
class LaneGroups {
 public:
  LaneGroups(const WeightView& weight, int64_t per_lane) {
    const int64_t group_size = weight.format ? weight.format->group_size : 1;
    const int64_t block = lane_count * per_lane;
    alignas(64) int32_t index[lane_count];
    for (int64_t l = 0; l < lane_count; ++l) index[l] = static_cast<int32_t>(l * per_lane / group_size);
    indices_ = hn::Load(integers, index);
    blocks_a_group_ = std::max<int64_t>(1, group_size / block);
    groups_a_block_ = std::max<int64_t>(1, block / group_size);
  }

  // Block b's scales (or biases), one a lane; `row` has those of the block's row.
  HWY_INLINE FloatVector of_block(const float* row, int64_t block) const {
    const float* first = row + (blocks_a_group_ > 1 ? block / blocks_a_group_ : block * groups_a_block_);
    return hn::TableLookupLanes(hn::LoadU(floats, first), hn::IndicesFromVec(floats, indices_));
  }

 private:
  IntegerVector indices_;
  int64_t blocks_a_group_;
  int64_t groups_a_block_;
};

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif

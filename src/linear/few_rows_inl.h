// Products with a handful of input rows: every word of the weight is read once and used at once.
// Compiled once for each instruction set.
#if defined(PIPPIN_LINEAR_FEW_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_LINEAR_FEW_ROWS_INL_H
#undef PIPPIN_LINEAR_FEW_ROWS_INL_H
#else
#define PIPPIN_LINEAR_FEW_ROWS_INL_H
#endif

#include <algorithm>
#include <utility>

#include "hwy/cache_control.h"

#include "linear/scale_rows_inl.h"
#include "linear/weight_codec_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// For lambdas: GCC would call what has many registers as arguments through memory.
#define PIPPIN_INLINE_ATTR HWY_ATTR __attribute__((always_inline))

// Calls call.operator()<j>() for j = 0 .. count - 1.
template <int64_t count, typename Call>
HWY_INLINE void unrolled(const Call& call) {
  [&]<int... j>(std::integer_sequence<int, j...>) PIPPIN_INLINE_ATTR {
    (call.template operator()<j>(), ...);
  }
  (std::make_integer_sequence<int, static_cast<int>(count)>());
}

// Where rows lie, and how many of a row's blocks can be loaded as they lie.
template <typename Codec>
class RowBlocks {
 public:
  static constexpr int64_t block = lane_count * Codec::per_lane;

  explicit RowBlocks(const WeightRows& rows)
      : row_bytes_(rows.weight->columns * Codec::block_bytes / block),
        blocks_((rows.weight->columns + block - 1) / block),
        first_(static_cast<const uint8_t*>(rows.weight->values) +
               (rows.matrix * rows.weight->rows + rows.row) * row_bytes_),
        end_(static_cast<const uint8_t*>(rows.weight->values) +
             rows.weight->matrices * rows.weight->rows * row_bytes_) {}

  [[nodiscard]] int64_t blocks() const { return blocks_; }
  [[nodiscard]] const uint8_t* row(int64_t j) const { return first_ + j * row_bytes_; }
  [[nodiscard]] int64_t direct(const uint8_t* row) const {
    return std::max<int64_t>(0, std::min(row_bytes_, end_ - row - Codec::slack) / Codec::block_bytes);
  }

  // Block b of a row.
  HWY_INLINE typename Codec::Raw load_end(const uint8_t* row, int64_t b, BlockBuffer& buffer) const {
    const int64_t begin = b * Codec::block_bytes;
    return Codec::load_end(row + begin, std::min(Codec::block_bytes, row_bytes_ - begin), buffer);
  }

 private:
  int64_t row_bytes_;
  int64_t blocks_;
  const uint8_t* first_;
  const uint8_t* end_;
};

// The four lanes that are left when halves are added to each other.
template <typename D>
HWY_INLINE void store_folded(D tag, hn::Vec<D> v, float* out) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    hn::StoreU(v, tag, out);
  } else {
    const hn::Half<D> half;
    store_folded(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), out);
  }
}

// The sums of `a`, `b`, `c`, `d` as four floats.
HWY_INLINE void store_sums(FloatVector a, FloatVector b, FloatVector c, FloatVector d, float* out) {
  const hn::Repartition<double, Floats> pairs;
  const auto ab = hn::Add(hn::InterleaveLower(floats, a, b), hn::InterleaveUpper(floats, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(floats, c, d), hn::InterleaveUpper(floats, c, d));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto sums = hn::Add(hn::BitCast(floats, low), hn::BitCast(floats, high));
  store_folded(floats, sums, out);
}

// Asks for what will be read a little later: the processor's own guesses end at each page.
template <typename Codec>
HWY_INLINE void prefetch_block(const uint8_t* block) {
  constexpr uintptr_t distance = 2048;
  for (int64_t i = 0; i < Codec::block_bytes; i += 64) {
    hwy::Prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(block + i) + distance));
  }
}

// Product of one row of x with 4 rows of the weight (the same one several times where fewer are left). A block's codes
// are summed before they are scaled; what biases add is theirs times the sums of x's groups.
template <typename Codec>
class OneInput {
 public:
  OneInput(const FewRows& job, const ScaleRows& scales)
      : blocks_(job.rows),
        lanes_(*job.rows.weight, Codec::per_lane),
        scales_(scales),
        x_(job.x[0]),
        sums_(x_ + blocks_.blocks() * block) {}

  HWY_INLINE void four_rows(const int64_t (&j)[4], float* out) const {
    const uint8_t* const row[4] = {blocks_.row(j[0]), blocks_.row(j[1]), blocks_.row(j[2]), blocks_.row(j[3])};
    // The last row has the least room behind it.
    const int64_t direct = blocks_.direct(row[3]);
    FloatVector total[4] = {hn::Zero(floats), hn::Zero(floats), hn::Zero(floats), hn::Zero(floats)};
    int64_t b = 0;
    for (; b < direct; ++b) {
      const int64_t at = b * Codec::block_bytes;
      for (const uint8_t* each : row) prefetch_block<Codec>(each + at);
      const typename Codec::Raw raw[4] = {Codec::load(row[0] + at), Codec::load(row[1] + at), Codec::load(row[2] + at),
                                          Codec::load(row[3] + at)};
      add_block(raw, b, j, total);
    }
    for (; b < blocks_.blocks(); ++b) {
      BlockBuffer buffer[4];
      const typename Codec::Raw raw[4] = {
          blocks_.load_end(row[0], b, buffer[0]), blocks_.load_end(row[1], b, buffer[1]),
          blocks_.load_end(row[2], b, buffer[2]), blocks_.load_end(row[3], b, buffer[3])};
      add_block(raw, b, j, total);
    }
    if constexpr (Codec::has_biases) add_biases(j, total);
    store_sums(total[0], total[1], total[2], total[3], out);
  }

 private:
  static constexpr int64_t block = lane_count * Codec::per_lane;

  HWY_INLINE void add_block(const typename Codec::Raw (&raw)[4], int64_t b, const int64_t (&j)[4],
                            FloatVector (&total)[4]) const {
    const float* x = x_ + b * block;
    FloatVector sum[4];
    for (int r = 0; r < 4; ++r) sum[r] = Codec::is_quantized ? hn::Zero(floats) : total[r];
    unrolled<Codec::per_lane>([&]<int i>() PIPPIN_INLINE_ATTR {
      const auto xs = hn::LoadU(floats, x + i * lane_count);
      sum[0] = hn::MulAdd(Codec::template value<i>(raw[0]), xs, sum[0]);
      sum[1] = hn::MulAdd(Codec::template value<i>(raw[1]), xs, sum[1]);
      sum[2] = hn::MulAdd(Codec::template value<i>(raw[2]), xs, sum[2]);
      sum[3] = hn::MulAdd(Codec::template value<i>(raw[3]), xs, sum[3]);
    });
    for (int r = 0; r < 4; ++r) {
      if constexpr (Codec::is_quantized) {
        const float* row = scales_.scales.data() + j[r] * scales_.groups;
        total[r] = hn::MulAdd(sum[r], lanes_.of_block(row, b), total[r]);
      } else {
        total[r] = sum[r];
      }
    }
  }

  HWY_INLINE void add_biases(const int64_t (&j)[4], FloatVector (&total)[4]) const {
    for (int64_t g = 0; g < scales_.groups; g += lane_count) {
      const auto there = hn::FirstN(floats, static_cast<size_t>(std::min(lane_count, scales_.groups - g)));
      const auto sums = hn::LoadU(floats, sums_ + g);
      for (int r = 0; r < 4; ++r) {
        const auto biases = hn::LoadU(floats, scales_.biases.data() + j[r] * scales_.groups + g);
        total[r] = hn::MulAdd(hn::IfThenElseZero(there, biases), sums, total[r]);
      }
    }
  }

  RowBlocks<Codec> blocks_;
  LaneGroups lanes_;
  const ScaleRows& scales_;
  const float* x_;
  const float* sums_;
};

// Vectors 0 .. per_lane - 1 of a block as weights: scaled, biases added.
template <typename Codec, typename Use>
HWY_INLINE void for_weights(typename Codec::Raw raw, FloatVector scale, FloatVector bias, const Use& use) {
  unrolled<Codec::per_lane>([&]<int i>() PIPPIN_INLINE_ATTR {
    const auto value = Codec::template value<i>(raw);
    if constexpr (Codec::has_biases) {
      use.template operator()<i>(hn::MulAdd(value, scale, bias));
    } else if constexpr (Codec::is_quantized) {
      use.template operator()<i>(hn::Mul(value, scale));
    } else {
      use.template operator()<i>(value);
    }
  });
}

// A row's blocks, one after the other: use(block number, raw, scale, bias).
template <typename Codec, typename Use>
HWY_INLINE void for_blocks(const RowBlocks<Codec>& blocks, const LaneGroups& lanes, const ScaleRows& scales, int64_t j,
                           const Use& use) {
  const uint8_t* row = blocks.row(j);
  const int64_t direct = blocks.direct(row);
  for (int64_t b = 0; b < blocks.blocks(); ++b) {
    BlockBuffer buffer;
    const auto raw = b < direct ? Codec::load(row + b * Codec::block_bytes) : blocks.load_end(row, b, buffer);
    FloatVector scale = hn::Zero(floats);
    FloatVector bias = scale;
    if constexpr (Codec::is_quantized) scale = lanes.of_block(scales.scales.data() + j * scales.groups, b);
    if constexpr (Codec::has_biases) bias = lanes.of_block(scales.biases.data() + j * scales.groups, b);
    use(b, raw, scale, bias);
  }
}

// Products of one row of the weight with up to `count` rows of x; what is beyond x's end is computed from x's last row.
template <typename Codec, int count>
HWY_INLINE void several_inputs(const RowBlocks<Codec>& blocks, const LaneGroups& lanes, const ScaleRows& scales,
                               const FewRows& job, int64_t j, size_t first) {
  const size_t last = job.x.size() - 1;
  const float* x[count];
  FloatVector total[count];
  for (size_t i = 0; i < count; ++i) {
    x[i] = job.x[std::min(first + i, last)];
    total[i] = hn::Zero(floats);
  }
  for_blocks<Codec>(blocks, lanes, scales, j,
                    [&](int64_t b, typename Codec::Raw raw, FloatVector scale, FloatVector bias) PIPPIN_INLINE_ATTR {
                      const int64_t at = b * RowBlocks<Codec>::block;
                      for_weights<Codec>(raw, scale, bias, [&]<int v>(FloatVector weight) PIPPIN_INLINE_ATTR {
                        for (int i = 0; i < count; ++i) {
                          total[i] = hn::MulAdd(weight, hn::LoadU(floats, x[i] + at + v * lane_count), total[i]);
                        }
                      });
                    });
  float sums[4 * ((count + 3) / 4)];
  for (int i = 0; i < count; i += 4) {
    const auto or_zero = [&](int n) PIPPIN_INLINE_ATTR { return n < count ? total[n] : hn::Zero(floats); };
    store_sums(or_zero(i), or_zero(i + 1), or_zero(i + 2), or_zero(i + 3), sums + i);
  }
  for (size_t i = first; i <= std::min(last, first + count - 1); ++i) {
    job.out[static_cast<int64_t>(i) * job.out_stride + j] = sums[i - first];
  }
}

template <typename Codec>
void few_inputs(const FewRows& job) {
  const ScaleRows scales(job.rows);
  if (job.x.size() == 1) {
    const OneInput<Codec> one(job, scales);
    for (int64_t j = 0; j < job.rows.count; j += 4) {
      const int64_t last = job.rows.count - 1;
      const int64_t rows[4] = {j, std::min(j + 1, last), std::min(j + 2, last), std::min(j + 3, last)};
      float sums[4];
      one.four_rows(rows, sums);
      std::copy_n(sums, std::min<int64_t>(4, job.rows.count - j), job.out + j);
    }
    return;
  }
  const RowBlocks<Codec> blocks(job.rows);
  const LaneGroups lanes(*job.rows.weight, Codec::per_lane);
  for (int64_t j = 0; j < job.rows.count; ++j) {
    size_t first = 0;
    for (; first + 4 < job.x.size(); first += 8) several_inputs<Codec, 8>(blocks, lanes, scales, job, j, first);
    if (first < job.x.size()) several_inputs<Codec, 4>(blocks, lanes, scales, job, j, first);
  }
}

template <typename Codec>
void decode_rows(const WeightRows& rows, float* out, int64_t stride) {
  const ScaleRows scales(rows);
  const RowBlocks<Codec> blocks(rows);
  const LaneGroups lanes(*rows.weight, Codec::per_lane);
  for (int64_t j = 0; j < rows.count; ++j) {
    for_blocks<Codec>(blocks, lanes, scales, j,
                      [&](int64_t b, typename Codec::Raw raw, FloatVector scale, FloatVector bias) PIPPIN_INLINE_ATTR {
                        float* to = out + j * stride + b * RowBlocks<Codec>::block;
                        for_weights<Codec>(raw, scale, bias, [&]<int v>(FloatVector weight) PIPPIN_INLINE_ATTR {
                          hn::StoreU(weight, floats, to + v * lane_count);
                        });
                      });
  }
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif

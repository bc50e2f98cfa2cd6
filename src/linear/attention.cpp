#include "linear/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "linear/float_buffer.h"
#include "linear/float_kernels.h"
#include "linear/layer_products.h"
#include "linear/product_kernels.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr float hidden = -std::numeric_limits<float>::infinity();
constexpr int64_t lanes_at_most = 64;  // dims are filled with zeros to a multiple
constexpr int64_t block_keys = 64;     // turned into floats at a time
constexpr int64_t block_rows = 48;     // query rows that share them
constexpr int64_t part_keys = 256;     // where few queries leave threads idle, the keys are parted

FloatBuffer zeros(int64_t count) {
  FloatBuffer floats = float_buffer(count);
  std::fill_n(floats.get(), count, 0.0f);
  return floats;
}

int64_t filled(int64_t dim) {
  return (dim + lanes_at_most - 1) / lanes_at_most * lanes_at_most;
}

// Query rows of one key head: row r is query r / group of head (key head) * group + r % group.
struct RowRange {
  int64_t batch;
  int64_t kv_head;
  int64_t begin;
  int64_t end;
  int64_t first_key;
  int64_t last_key;
  [[nodiscard]] int64_t count() const { return end - begin; }
};

// A softmax that is not finished: sum of exp(score - most), and of these times the values.
struct PartialRows {
  float* most;
  float* sum;
  float* values;  // `stride` apart
  int64_t stride;
};

class KeyLoop {
 public:
  KeyLoop(const Attention& a, const RowRange& range, const PartialRows& out)
      : a_(a),
        range_(range),
        out_(out),
        group_(a.heads / a.kv_heads),
        key_stride_(filled(a.key_dim)),
        q_(zeros(range.count() * key_stride_)),
        keys_(zeros(block_keys * key_stride_)),
        values_(zeros(block_keys * out.stride)),
        scores_(float_buffer(range.count() * block_keys)) {}

  void run() {
    load_queries();
    std::fill_n(out_.most, range_.count(), hidden);
    std::fill_n(out_.sum, range_.count(), 0.0f);
    std::fill_n(out_.values, range_.count() * out_.stride, 0.0f);
    const int64_t begin = std::max(range_.first_key, first_seen(query_of(range_.begin)));
    const int64_t end = std::min(range_.last_key, end_seen(query_of(range_.end - 1)));
    for (int64_t key = begin; key < end; key += block_keys) add_block(key, std::min(block_keys, end - key));
  }

 private:
  [[nodiscard]] int64_t query_of(int64_t row) const { return row / group_; }
  [[nodiscard]] int64_t head_of(int64_t row) const { return range_.kv_head * group_ + row % group_; }
  [[nodiscard]] int64_t end_seen(int64_t query) const {
    return a_.causal ? std::clamp<int64_t>(query + a_.length - a_.queries + 1, 0, a_.length) : a_.length;
  }
  [[nodiscard]] int64_t first_seen(int64_t query) const {
    if (a_.window <= 0) return 0;
    return std::max<int64_t>(0, query + a_.length - a_.queries + 1 - a_.window);
  }

  void load_queries() {
    for (int64_t r = range_.begin; r < range_.end; ++r) {
      const int64_t at =
          range_.batch * a_.q.batch_stride + head_of(r) * a_.q.head_stride + query_of(r) * a_.q.row_stride;
      float* row = q_.get() + (r - range_.begin) * key_stride_;
      cast(a_.dtype, at_element(a_.q.data, at, a_.dtype), DType::F32, row, a_.key_dim);
      q_rows_.push_back(row);
    }
  }

  void load_rows(const HeadRows& rows, int64_t key, int64_t count, int64_t dim, float* out, int64_t stride) const {
    const int64_t at = range_.batch * rows.batch_stride + range_.kv_head * rows.head_stride + key * rows.row_stride;
    for (int64_t i = 0; i < count; ++i) {
      cast(a_.dtype, at_element(rows.data, at + i * rows.row_stride, a_.dtype), DType::F32, out + i * stride, dim);
    }
  }

  void add_block(int64_t key, int64_t count) {
    load_rows(a_.k, key, count, a_.key_dim, keys_.get(), key_stride_);
    products_.many({keys_.get(), key_stride_, count, key_stride_, q_rows_, scores_.get(), block_keys});
    for (int64_t r = range_.begin; r < range_.end; ++r) weigh(r, key, count);
    load_rows(a_.v, key, count, a_.value_dim, values_.get(), out_.stride);
    floats_.add_weighted({scores_.get(), block_keys, range_.count(), values_.get(), out_.stride, count, out_.values,
                          out_.stride, out_.stride});
  }

  // Turns a row's scores into weights, and what was summed before into the same unit.
  void weigh(int64_t r, int64_t key, int64_t count) {
    const int64_t i = r - range_.begin;
    float* scores = scores_.get() + i * block_keys;
    for (int64_t j = 0; j < count; ++j) scores[j] *= a_.scale;
    if (a_.softcap > 0) floats_.soft_cap(scores, a_.softcap, count);
    if (a_.mask.kind != MaskKind::none) apply_mask(r, key, count, scores);
    const int64_t begin = std::clamp<int64_t>(first_seen(query_of(r)) - key, 0, count);
    const int64_t end = std::clamp<int64_t>(end_seen(query_of(r)) - key, begin, count);
    std::fill(scores, scores + begin, hidden);
    std::fill(scores + end, scores + count, hidden);
    const float most = std::max(out_.most[i], *std::max_element(scores, scores + count));
    if (most == hidden) {
      std::fill_n(scores, count, 0.0f);
      return;
    }
    const float earlier = std::exp(out_.most[i] - most);
    out_.most[i] = most;
    out_.sum[i] = out_.sum[i] * earlier + floats_.exponentials(scores, most, count);
    if (earlier == 1.0f) return;
    float* values = out_.values + i * out_.stride;
    for (int64_t c = 0; c < out_.stride; ++c) values[c] *= earlier;
  }

  void apply_mask(int64_t r, int64_t key, int64_t count, float* scores) const {
    const AttentionMask& mask = a_.mask;
    const int64_t at = range_.batch * mask.batch_stride + head_of(r) * mask.head_stride +
                       query_of(r) * mask.query_stride + key * mask.key_stride;
    for (int64_t j = 0; j < count; ++j) {
      if (mask.kind == MaskKind::boolean) {
        if (static_cast<const uint8_t*>(mask.data)[at + j * mask.key_stride] == 0) scores[j] = hidden;
      } else {
        float addend;
        cast(mask.dtype, at_element(mask.data, at + j * mask.key_stride, mask.dtype), DType::F32, &addend, 1);
        scores[j] += addend;
      }
    }
  }

  const Attention& a_;
  const RowRange& range_;
  const PartialRows& out_;
  const ProductKernels& products_ = chosen_product_kernels();
  const FloatKernels& floats_ = chosen_float_kernels();
  int64_t group_;
  int64_t key_stride_;
  FloatBuffer q_;
  std::vector<const float*> q_rows_;
  FloatBuffer keys_;
  FloatBuffer values_;
  FloatBuffer scores_;
};

// How rows and keys are parted: the same for any number of threads.
struct Parting {
  int64_t group;
  int64_t rows;        // of a key head
  int64_t row_blocks;  // of a key head
  int64_t key_parts;
  int64_t stride;  // of values

  explicit Parting(const Attention& a)
      : group(a.heads / a.kv_heads),
        rows(group * a.queries),
        row_blocks((rows + block_rows - 1) / block_rows),
        key_parts(a.queries < 8 ? std::max<int64_t>(1, (a.length + part_keys - 1) / part_keys) : 1),
        stride(filled(a.value_dim)) {}

  [[nodiscard]] int64_t pieces(const Attention& a) const { return a.batch * a.kv_heads * row_blocks; }
  [[nodiscard]] RowRange range(const Attention& a, int64_t piece, int64_t part) const {
    const int64_t head = piece / row_blocks;
    const int64_t begin = piece % row_blocks * block_rows;
    const int64_t keys = key_parts == 1 ? a.length : part_keys;
    return {head / a.kv_heads,
            head % a.kv_heads,
            begin,
            std::min(rows, begin + block_rows),
            part * keys,
            std::min(a.length, (part + 1) * keys)};
  }
};

// Room for one range's partial rows in each part.
class Partials {
 public:
  Partials(int64_t ranges, int64_t stride)
      : stride_(stride), floats_(float_buffer(ranges * (block_rows * (stride + 2)))) {}

  [[nodiscard]] PartialRows of(int64_t range) const {
    float* first = floats_.get() + range * block_rows * (stride_ + 2);
    return {first + block_rows * stride_, first + block_rows * (stride_ + 1), first, stride_};
  }

 private:
  int64_t stride_;
  FloatBuffer floats_;
};

// Row `i` of part 0 takes in a part, or a sink, which is a sum of 1 without values.
void take_in(const PartialRows& to, int64_t i, float most, float sum, const float* values) {
  const float higher = std::max(to.most[i], most);
  if (higher == hidden) return;
  const float mine = std::exp(to.most[i] - higher);
  const float other = std::exp(most - higher);
  to.most[i] = higher;
  to.sum[i] = to.sum[i] * mine + sum * other;
  float* into = to.values + i * to.stride;
  for (int64_t c = 0; c < to.stride; ++c) into[c] = into[c] * mine + (values == nullptr ? 0.0f : values[c] * other);
}

void finish_row(const Attention& a, const RowRange& range, int64_t group, const PartialRows& rows, int64_t i) {
  const int64_t head = range.kv_head * group + (range.begin + i) % group;
  if (a.sinks != nullptr) {
    float sink;
    cast(a.sinks_dtype, at_element(a.sinks, head, a.sinks_dtype), DType::F32, &sink, 1);
    take_in(rows, i, sink, 1.0f, nullptr);
  }
  float* values = rows.values + i * rows.stride;
  const float factor = rows.sum[i] == 0 ? 0.0f : 1.0f / rows.sum[i];
  for (int64_t c = 0; c < a.value_dim; ++c) values[c] *= factor;
  const int64_t at =
      range.batch * a.out_batch_stride + head * a.out_head_stride + (range.begin + i) / group * a.out_row_stride;
  cast(DType::F32, values, a.dtype, at_element(a.out, at, a.dtype), a.value_dim);
}

}  // namespace

void attention(ThreadPool& pool, const Attention& a) {
  const Parting parting(a);
  const int64_t pieces = parting.pieces(a);
  if (parting.key_parts == 1) {
    return pool.parallel_for(pieces, 1, [&](int64_t piece, int64_t) {
      const Partials partials(1, parting.stride);
      const RowRange range = parting.range(a, piece, 0);
      const PartialRows rows = partials.of(0);
      KeyLoop(a, range, rows).run();
      for (int64_t i = 0; i < range.count(); ++i) finish_row(a, range, parting.group, rows, i);
    });
  }
  const Partials partials(pieces * parting.key_parts, parting.stride);
  pool.parallel_for(pieces * parting.key_parts, 1, [&](int64_t part, int64_t) {
    KeyLoop(a, parting.range(a, part / parting.key_parts, part % parting.key_parts), partials.of(part)).run();
  });
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const RowRange range = parting.range(a, piece, 0);
    const PartialRows rows = partials.of(piece * parting.key_parts);
    for (int64_t i = 0; i < range.count(); ++i) {
      for (int64_t part = 1; part < parting.key_parts; ++part) {
        const PartialRows other = partials.of(piece * parting.key_parts + part);
        take_in(rows, i, other.most[i], other.sum[i], other.values + i * other.stride);
      }
      finish_row(a, range, parting.group, rows, i);
    }
  }
}

}  // namespace pippin

#include "linear/weight_view.h"

#include <limits>

#include <fmt/format.h>

#include "quantize/quantize.h"

namespace pippin {
namespace {

bool is_model_dtype(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

tl::unexpected<Error> refused(std::string rule, std::string value) {
  return fail(ErrorTag::unsupported, std::move(rule), std::move(value), "convert the model again");
}

Status check_sizes(const WeightView& w) {
  if (w.rows < 1 || w.columns < 1 || w.matrices < 1) {
    return refused("a weight has rows and columns", fmt::format("{} x {} x {}", w.matrices, w.rows, w.columns));
  }
  const int64_t limit = std::numeric_limits<int64_t>::max() / 64;
  if (w.rows > limit / w.columns || w.matrices > limit / (w.rows * w.columns)) {
    return refused("a weight fits into memory", fmt::format("{} x {} x {}", w.matrices, w.rows, w.columns));
  }
  return {};
}

}  // namespace

Status check(const WeightView& w) {
  PIPPIN_CHECK(check_sizes(w));
  const bool is_affine = w.format && w.format->mode == QuantMode::affine;
  if ((!w.format || is_affine) && !is_model_dtype(w.dtype)) {
    return refused("weights and affine scales are F32, F16 or BF16", std::string(name_of(w.dtype)));
  }
  if (w.values == nullptr) return refused("a weight has values", "none");
  if (!w.format) return {};
  PIPPIN_CHECK(check(*w.format));
  if (w.columns % w.format->group_size != 0) {
    return refused(fmt::format("columns are a multiple of the group size {}", w.format->group_size),
                   fmt::format("{} columns", w.columns));
  }
  if (w.scales == nullptr || (is_affine && w.biases == nullptr)) {
    return refused("a quantized weight has scales, and in affine mode biases", "none");
  }
  return {};
}

int64_t bytes_of(const WeightView& w) {
  const int64_t values = w.rows * w.columns;
  if (!w.format) return values * static_cast<int64_t>(size_of(w.dtype));
  const int64_t scale_bytes = w.format->mode == QuantMode::affine ? 2 * static_cast<int64_t>(size_of(w.dtype)) : 1;
  return values * w.format->bits / 8 + values / w.format->group_size * scale_bytes;
}

}  // namespace pippin

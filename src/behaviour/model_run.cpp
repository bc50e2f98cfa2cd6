#include "behaviour/model_run.h"

#include <algorithm>
#include <optional>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"
#include "verify/agreement.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr int rows_at_a_time = 32;

template <typename Take>
void give(const mx::array& value, int64_t width, const Take& take) {
  const mx::array floats = mx::contiguous(mx::astype(value, mx::float32));
  mx::eval(floats);
  value_or_throw(take(std::span(floats.data<float>(), floats.size()), width));
}

// A layer's output is its step next_x; where that only names another step, the last array that the layer made. Steps of
// the start may come between a layer's own, since each is computed when something asks for it.
class LayerWatch {
 public:
  LayerWatch(int tokens, const RunSinks& sinks) : tokens_(tokens), sinks_(sinks) {}

  void see(int layer, const std::string& step, const mx::array& value) {
    if (layer < 0 || layer < layer_) return;
    if (layer > layer_) finish();
    layer_ = layer;
    const bool rounds = value.dtype() == mx::bfloat16 || value.dtype() == mx::float16;
    facts_.is_float32 = facts_.is_float32 && !rounds;
    if (is_final_) return;
    if (step == "next_x" || (value.ndim() >= 3 && value.shape(0) == 1 && value.shape(1) == tokens_)) last_ = value;
    is_final_ = step == "next_x";
  }

  void finish() {
    if (last_ && layer_ >= 0 && last_->size() > 0) {
      const auto width = static_cast<int64_t>(last_->size()) / tokens_;
      const int layer = layer_;
      give(*last_, width,
           [&](std::span<const float> values, int64_t wide) { return sinks_.layer(layer, values, wide); });
    }
    last_.reset();
    is_final_ = false;
  }

  [[nodiscard]] const RunFacts& facts() const { return facts_; }

 private:
  int tokens_;
  const RunSinks& sinks_;
  RunFacts facts_;
  int layer_ = -1;
  bool is_final_ = false;
  std::optional<mx::array> last_;
};

void give_rows(const mx::array& logits, const RunSinks& sinks) {
  const int rows = logits.shape(1);
  const int width = logits.shape(2);
  for (int first = 0; first < rows; first += rows_at_a_time) {
    const int end = std::min(rows, first + rows_at_a_time);
    give(mx::slice(logits, {0, first, 0}, {1, end, width}), width,
         [&](std::span<const float> values, int64_t wide) { return sinks.logits(first, values, wide); });
  }
}

mx::array ids_array(std::span<const int32_t> ids) {
  return mx::array(ids.data(), {1, static_cast<int>(ids.size())}, mx::int32);
}

}  // namespace

Result<RunFacts> run_prompt(const LanguageModel& model, std::span<const int32_t> ids, const RunSinks& sinks) {
  KvCache cache = model.make_cache();
  LayerWatch watch(static_cast<int>(ids.size()), sinks);
  const StepObserver observer = [&](int layer, const std::string& step, const mx::array& value) {
    watch.see(layer, step, value);
  };
  PIPPIN_TRY(const mx::array logits, model.forward(ids_array(ids), cache, false, &observer));
  PIPPIN_CHECK(guarded("computing activations", [&] {
    watch.finish();
    if (sinks.logits) give_rows(logits, sinks);
  }));
  return watch.facts();
}

Result<double> total_surprise(const LanguageModel& model, std::span<const int32_t> ids) {
  KvCache cache = model.make_cache();
  PIPPIN_TRY(const mx::array logits, model.forward(ids_array(ids), cache));
  double sum = 0;
  RunSinks sinks;
  sinks.logits = [&](int64_t first, std::span<const float> values, int64_t width) -> Status {
    const auto wide = static_cast<size_t>(width);
    for (size_t row = 0; row * wide < values.size(); ++row) {
      const size_t next = static_cast<size_t>(first) + row + 1;
      if (next < ids.size()) sum += surprise(values.subspan(row * wide, wide), ids[next]);
    }
    return {};
  };
  PIPPIN_CHECK(guarded("computing a text's logits", [&] { give_rows(logits, sinks); }));
  return sum;
}

}  // namespace pippin

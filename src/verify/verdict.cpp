// The bounds of a behaviour's verdict, and the verdict.
#include <algorithm>
#include <array>
#include <cmath>

#include "pippin/behaviour.h"

namespace pippin {
namespace {

struct Row {
  Precision precision;
  std::string_view name;
  Thresholds bounds;  // max logit difference, min top-1, max KL, max perplexity increase, max layer error
};

constexpr std::nullopt_t none = std::nullopt;

// Bounds that a sound conversion keeps, even of a model of 100 million weights, and that a broken one breaks. Where
// both sides round, a logit's difference says little: its size is the model's. KL and top-1 do not depend on it.
const std::array<Row, 6> rows{{
    {Precision::float32, "F32", {1e-3, 0.99, 1e-4, 0.001, 1e-3}},
    {Precision::half, "F16 or BF16", {none, 0.9, 0.02, 0.02, 0.1}},
    {Precision::eight_bits, "8 bits", {none, 0.8, 0.05, 0.05, 0.2}},
    {Precision::six_bits, "6 bits", {none, 0.75, 0.1, 0.1, 0.3}},
    {Precision::four_bits, "4 bits", {none, 0.5, 1, 2, 0.8}},
    {Precision::two_bits, "3 bits or fewer", {none, 0.1, 5, none, 1.5}},
}};

const Row& row_of(Precision precision) {
  return *std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.precision == precision; });
}

void check(Agreement& agreement, const char* what, double found, const std::optional<double>& bound,
           bool at_least = false) {
  if (!bound) return;
  const bool passed = at_least ? found >= *bound : found <= *bound;  // a NaN passes neither
  agreement.checks.push_back({what, found, *bound, at_least, passed});
}

}  // namespace

std::string_view name_of(Precision precision) {
  return row_of(precision).name;
}

Precision precision_of(bool computes_in_float32, int bits) {
  if (bits <= 0) return computes_in_float32 ? Precision::float32 : Precision::half;
  if (bits <= 3) return Precision::two_bits;
  if (bits <= 4) return Precision::four_bits;
  return bits <= 6 ? Precision::six_bits : Precision::eight_bits;
}

Thresholds default_thresholds(Precision precision) {
  return row_of(precision).bounds;
}

Thresholds merged(Thresholds defaults, const Thresholds& given) {
  for (const auto member : {&Thresholds::max_logit_difference, &Thresholds::min_top1, &Thresholds::max_kl,
                            &Thresholds::max_perplexity_increase, &Thresholds::max_layer_error}) {
    if (given.*member) defaults.*member = given.*member;
  }
  return defaults;
}

void judge(Agreement& agreement) {
  const Thresholds& bounds = agreement.thresholds;
  agreement.checks.clear();
  agreement.first_diverging_layer.reset();
  if (agreement.logits) {
    const LogitAgreement& logits = *agreement.logits;
    check(agreement, "rows with NaN or infinity", static_cast<double>(logits.nonfinite_rows), 0.0);
    check(agreement, "largest logit difference", logits.largest_difference, bounds.max_logit_difference);
    check(agreement, "top-1 agreement", logits.top1, bounds.min_top1, true);
    check(agreement, "mean KL divergence", logits.mean_kl, bounds.max_kl);
  }
  if (agreement.perplexity) {
    check(agreement, "perplexity increase", agreement.perplexity->increase(), bounds.max_perplexity_increase);
  }
  if (agreement.layers.empty()) return;
  double worst = 0;
  for (const auto& layer : agreement.layers) {
    worst = std::max(worst, layer.relative_error);
    if (bounds.max_layer_error && !agreement.first_diverging_layer &&
        !(layer.relative_error <= *bounds.max_layer_error))
      agreement.first_diverging_layer = layer.layer;
  }
  check(agreement, "largest layer error", worst, bounds.max_layer_error);
}

bool Agreement::passed() const {
  return std::all_of(checks.begin(), checks.end(), [](const Check& one) { return one.passed; });
}

bool BehaviourReport::passed() const {
  return std::all_of(agreements.begin(), agreements.end(), [](const Agreement& one) { return one.passed(); });
}

}  // namespace pippin

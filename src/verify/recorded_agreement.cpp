#include "verify/recorded_agreement.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr size_t piece = size_t{1} << 20;

Error misfit(const Recording& expected, const std::string& what, int64_t want, int64_t have) {
  return {ErrorTag::mismatch,
          "both models give values of the same shape",
          fmt::format("{}: {} has {} values a token, the model's has {}", expected.name(), what, want, have),
          "check that the two belong together",
          {}};
}

}  // namespace

RecordedAgreement::RecordedAgreement(const Recording& expected)
    : expected_(expected), logits_(expected.prompts().size()) {}

Status RecordedAgreement::add_logits(size_t prompt, int64_t first, std::span<const float> values, int64_t width) {
  const SafetensorsEntry* entry = expected_.logits(prompt);
  if (entry == nullptr) return {};
  const int64_t recorded = element_count(entry->shape) / entry->shape.front();
  if (recorded != width) return tl::unexpected<Error>(misfit(expected_, entry->name, recorded, width));
  std::vector<float> row(static_cast<size_t>(width));
  for (size_t begin = 0; begin < values.size(); begin += row.size()) {
    const auto position = first + static_cast<int64_t>(begin / row.size());
    PIPPIN_CHECK(expected_.read(*entry, static_cast<uint64_t>(position * width), row));
    const auto model = values.subspan(begin, row.size());
    logits_[prompt].add(row, model);
    add_surprise(prompt, position, row, model);
  }
  return {};
}

void RecordedAgreement::add_surprise(size_t prompt, int64_t row, std::span<const float> expected,
                                     std::span<const float> model) {
  const auto& ids = expected_.prompts()[prompt];
  const auto next = static_cast<size_t>(row) + 1;
  if (next >= ids.size() || static_cast<size_t>(ids[next]) >= expected.size()) return;
  expected_surprise_ += surprise(expected, ids[next]);
  surprise_ += surprise(model, ids[next]);
  ++predicted_;
}

Status RecordedAgreement::add_layer(size_t prompt, int layer, std::span<const float> values) {
  const SafetensorsEntry* entry = expected_.layer(prompt, layer);
  if (entry == nullptr) return {};
  const auto tokens = static_cast<int64_t>(expected_.prompts()[prompt].size());
  const int64_t recorded = element_count(entry->shape);
  if (recorded != static_cast<int64_t>(values.size()))
    return tl::unexpected<Error>(
        misfit(expected_, entry->name, recorded / tokens, static_cast<int64_t>(values.size()) / tokens));
  std::vector<float> expected(std::min(piece, values.size()));
  for (size_t begin = 0; begin < values.size(); begin += piece) {
    const size_t count = std::min(piece, values.size() - begin);
    const std::span<float> part(expected.data(), count);
    PIPPIN_CHECK(expected_.read(*entry, begin, part));
    layers_[layer].add(part, values.subspan(begin, count));
  }
  return {};
}

Agreement RecordedAgreement::result(const std::vector<std::string>& texts) const {
  Agreement result;
  result.expected = expected_.name();
  LogitMeter all;
  for (size_t prompt = 0; prompt < logits_.size(); ++prompt) {
    PromptAgreement one;
    if (prompt < texts.size()) one.text = texts[prompt];
    one.tokens = expected_.prompts()[prompt].size();
    if (expected_.logits(prompt) != nullptr) {
      one.logits = logits_[prompt].result();
      all.add(logits_[prompt]);
    }
    result.prompts.push_back(std::move(one));
  }
  if (expected_.has_logits()) result.logits = all.result();
  for (const auto& [layer, meter] : layers_) result.layers.push_back(meter.result(layer));
  if (predicted_ > 0) {
    const auto count = static_cast<double>(predicted_);
    result.perplexity = PerplexityPair{predicted_, std::exp(expected_surprise_ / count), std::exp(surprise_ / count)};
  }
  return result;
}

}  // namespace pippin

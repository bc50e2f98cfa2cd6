#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <mlx/memory.h>

#include "behaviour/model_run.h"
#include "behaviour/token_sequences.h"
#include "pippin/behaviour.h"
#include "runtime/language_model.h"
#include "verify/recorded_agreement.h"
#include "verify/recording.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// The least "bits" that config.json's quantization names for any layer; 0 without one.
int least_bits(const Json& config) {
  int least = 0;
  for (const char* key : {"quantization", "quantization_config"}) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_object()) continue;
    const auto take = [&least](const Json& settings) {
      const auto bits = settings.find("bits");
      if (bits == settings.end() || !bits->is_number_integer()) return;
      const auto value = bits->get<int64_t>();
      if (value > 0 && value < 64)
        least = least == 0 ? static_cast<int>(value) : std::min(least, static_cast<int>(value));
    };
    take(*found);
    for (const auto& [name, layer] : found->items()) {
      if (layer.is_object()) take(layer);
    }
  }
  return least;
}

// One model's part in the comparison.
struct SideFacts {
  bool is_float32 = true;
  int bits = 0;
  double text_surprise = 0;
};

class Behaviour {
 public:
  explicit Behaviour(const BehaviourOptions& options) : options_(options) {}

  Result<BehaviourReport> measure() {
    const auto begin = std::chrono::steady_clock::now();
    std::optional<Recording> reference;
    if (!options_.reference.empty()) {
      PIPPIN_TRY(reference, Recording::open(options_.reference));
    }
    if (!options_.source.empty()) PIPPIN_CHECK(run_source());
    PIPPIN_TRY(const LanguageModel model, load(options_.converted));
    if (expected_) PIPPIN_CHECK(compare_with_source(model));
    if (reference) PIPPIN_CHECK(compare_with_recording(model, *reference));
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(report_);
  }

 private:
  [[nodiscard]] Result<LanguageModel> load(const std::filesystem::path& folder) const {
    LoadOptions loading;
    loading.arch = options_.arch;
    loading.arch_name = options_.arch_name;
    loading.own_kernels = options_.own_kernels;
    loading.check_memory = options_.check_memory;
    return LanguageModel::load(folder, loading);
  }

  Status count_sequence() {
    if (options_.cancelled != nullptr && options_.cancelled->load())
      return fail(ErrorTag::interrupted, "a run goes to its end", "stopped by a signal", "run again");
    if (options_.progress) options_.progress(done_++, (sequences_.prompts.size() + sequences_.windows.size()) * 2);
    return {};
  }

  Status run_source() {
    {
      PIPPIN_TRY(const LanguageModel model, load(options_.source));
      PIPPIN_TRY(sequences_,
                 token_sequences(options_, model.vocabulary_size(), model.context_length(), report_.warnings));
      PIPPIN_TRY(RecordingWriter writer, RecordingWriter::make());
      for (size_t k = 0; k < sequences_.prompts.size(); ++k) PIPPIN_CHECK(record(model, k, writer));
      PIPPIN_TRY(expected_, std::move(writer).finish());
      source_.bits = least_bits(model.config());
      PIPPIN_CHECK(read_text(model, source_));
    }
    mlx::core::clear_cache();  // else MLX would keep the first model's memory while the second is there
    return {};
  }

  Status record(const LanguageModel& model, size_t k, RecordingWriter& writer) {
    PIPPIN_CHECK(count_sequence());
    PIPPIN_CHECK(writer.add_ids(k, sequences_.prompts[k]));
    RunSinks sinks;
    sinks.layer = [&](int layer, std::span<const float> values, int64_t width) {
      return writer.add(layer_name(k, layer), values, width);
    };
    sinks.logits = [&](int64_t, std::span<const float> values, int64_t width) {
      return writer.add(logits_name(k), values, width);
    };
    PIPPIN_TRY(const RunFacts facts, run_prompt(model, sequences_.prompts[k], sinks));
    source_.is_float32 = source_.is_float32 && facts.is_float32;
    return {};
  }

  Status read_text(const LanguageModel& model, SideFacts& side) {
    for (const auto& window : sequences_.windows) {
      PIPPIN_CHECK(count_sequence());
      PIPPIN_TRY(const double sum, total_surprise(model, window));
      side.text_surprise += sum;
    }
    return {};
  }

  // Runs the model on a recording's prompts.
  Result<Agreement> compare(const LanguageModel& model, const Recording& expected,
                            const std::vector<std::string>& texts, SideFacts& side) {
    RecordedAgreement measured(expected);
    for (size_t k = 0; k < expected.prompts().size(); ++k) {
      PIPPIN_CHECK(count_sequence());
      RunSinks sinks;
      sinks.layer = [&](int layer, std::span<const float> values, int64_t) {
        return measured.add_layer(k, layer, values);
      };
      sinks.logits = [&](int64_t first, std::span<const float> values, int64_t width) {
        return measured.add_logits(k, first, values, width);
      };
      PIPPIN_TRY(const RunFacts facts, run_prompt(model, expected.prompts()[k], sinks));
      side.is_float32 = side.is_float32 && facts.is_float32;
    }
    side.bits = least_bits(model.config());
    return measured.result(texts);
  }

  void conclude(Agreement agreement, Precision precision) {
    agreement.precision = precision;
    agreement.thresholds = merged(default_thresholds(precision), options_.thresholds);
    judge(agreement);
    report_.agreements.push_back(std::move(agreement));
  }

  Status compare_with_source(const LanguageModel& model) {
    SideFacts side;
    PIPPIN_TRY(Agreement agreement, compare(model, *expected_, sequences_.texts, side));
    agreement.expected = options_.source.string();
    PIPPIN_CHECK(read_text(model, side));
    if (!sequences_.windows.empty()) {
      uint64_t tokens = 0;
      for (const auto& window : sequences_.windows) tokens += window.size() - 1;
      const auto count = static_cast<double>(tokens);
      agreement.perplexity =
          PerplexityPair{tokens, std::exp(source_.text_surprise / count), std::exp(side.text_surprise / count)};
      agreement.perplexity_of_text = true;
    }
    const int bits =
        source_.bits == 0 || side.bits == 0 ? std::max(source_.bits, side.bits) : std::min(source_.bits, side.bits);
    conclude(std::move(agreement), precision_of(source_.is_float32 && side.is_float32, bits));
    return {};
  }

  Status compare_with_recording(const LanguageModel& model, const Recording& expected) {
    for (const auto& ids : expected.prompts())
      PIPPIN_CHECK(check_sequence(ids, expected.name(), model.vocabulary_size(), model.context_length()));
    SideFacts side;
    PIPPIN_TRY(Agreement agreement, compare(model, expected, {}, side));
    if (!agreement.logits && agreement.layers.empty())
      return fail(ErrorTag::bad_file, "a recording has logits or layers", expected.name() + " has neither",
                  "record again with record_activations");
    const bool was_float32 = expected.dtype().empty() || expected.dtype() == "float32";
    conclude(std::move(agreement), precision_of(side.is_float32 && was_float32, side.bits));
    return {};
  }

  const BehaviourOptions& options_;
  BehaviourReport report_;
  TokenSequences sequences_;
  std::optional<Recording> expected_;
  SideFacts source_;
  uint64_t done_ = 0;
};

}  // namespace

Result<BehaviourReport> measure_behaviour(const BehaviourOptions& options) {
  return Behaviour(options).measure();
}

}  // namespace pippin

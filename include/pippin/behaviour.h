// Proves that a converted model behaves as its source does, or as was recorded elsewhere: logits, layers, perplexity.
//
// The figures and the verdict are plain data and need no runtime; measure_behaviour() is there only where pippin was
// built with PIPPIN_RUNTIME.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"

namespace pippin {

// Absolute differences by size: bin k counts those from 10^(k/2 - 9) to below 10^((k+1)/2 - 9); the first all smaller
// ones, zeros included; the last all larger ones.
using DifferenceHistogram = std::array<uint64_t, 24>;

// Logits against the expected ones. A row is one position's logits.
struct LogitAgreement {
  uint64_t rows = 0;
  double largest_difference = 0;  // max |model - expected|
  double mean_difference = 0;     // mean |model - expected|
  double mean_kl = 0;             // mean over rows of KL(expected || model) of the softmaxes, in nats
  double largest_kl = 0;
  double top1 = 1;              // share of the rows whose likeliest token is the same
  uint64_t nonfinite_rows = 0;  // rows with a NaN or +infinity on either side; counted nowhere else
  DifferenceHistogram histogram{};
};

// What a layer hands to the next one.
struct LayerAgreement {
  int layer = 0;
  double relative_error = 0;  // root of sum (model - expected)^2 / sum expected^2; infinity where a value is not finite
  double largest_difference = 0;
};

struct PerplexityPair {
  uint64_t tokens = 0;  // that were predicted
  double expected = 0;
  double model = 0;
  // Relative; 0 also where both are beyond every number.
  [[nodiscard]] double increase() const { return model == expected ? 0 : model / expected - 1; }
};

struct PromptAgreement {
  std::string text;  // empty where it came as token ids
  uint64_t tokens = 0;
  std::optional<LogitAgreement> logits;
};

// How exactly two models can agree, from the coarser of both.
enum class Precision : uint8_t {
  float32,     // both compute in F32
  half,        // F16 or BF16
  eight_bits,  // the least bits of a quantized layer: 7 and more
  six_bits,    // 5 and 6
  four_bits,   // 4
  two_bits,    // 3 and fewer
};
std::string_view name_of(Precision precision);  // "F32", "F16 or BF16", "8 bits" ...
// bits: of the coarsest quantized layer, 0 where none is.
Precision precision_of(bool computes_in_float32, int bits);

// Bounds of the verdict. Nothing: no bound.
struct Thresholds {
  std::optional<double> max_logit_difference;
  std::optional<double> min_top1;                 // share
  std::optional<double> max_kl;                   // mean, nats
  std::optional<double> max_perplexity_increase;  // 0.01: one percent
  std::optional<double> max_layer_error;          // relative; the first layer beyond it is where the models diverge
};
Thresholds default_thresholds(Precision precision);
// Those given take the place of the defaults.
Thresholds merged(Thresholds defaults, const Thresholds& given);

// One bound, and what was found.
struct Check {
  std::string what;  // "max logit difference"
  double found = 0;
  double bound = 0;
  bool at_least = false;  // the bound is a lower one
  bool passed = false;
};

// A model against what is expected of it.
struct Agreement {
  std::string expected;  // the source's folder, or the recording's file
  Precision precision = Precision::float32;
  std::vector<PromptAgreement> prompts;
  std::optional<LogitAgreement> logits;  // of all prompts
  std::vector<LayerAgreement> layers;    // in order
  std::optional<PerplexityPair> perplexity;
  bool perplexity_of_text = false;  // of a text that was given, not of the prompts

  Thresholds thresholds;
  std::vector<Check> checks;
  std::optional<int> first_diverging_layer;
  [[nodiscard]] bool passed() const;
};

// Fills checks and first_diverging_layer from the figures and thresholds. A figure that is missing is not checked; one
// that is not a number fails.
void judge(Agreement& agreement);

struct BehaviourReport {
  std::vector<Agreement> agreements;  // with the source, with the recording
  std::vector<std::string> warnings;
  double seconds = 0;
  [[nodiscard]] bool passed() const;
};

struct BehaviourOptions {
  std::filesystem::path source;  // empty: only the recording is compared
  std::filesystem::path converted;
  std::vector<std::filesystem::path> arch;
  std::string arch_name;
  bool own_kernels = true;           // as ModelOptions
  bool check_memory = true;          // as ModelOptions
  std::vector<std::string> prompts;  // taken as they are, without a chat template; empty: default_prompts()
  std::string text;                  // for the perplexity; empty: that of the prompts
  int text_tokens = 4096;            // at most so many tokens of the text
  // Safetensors with prompts.K.ids (integers [n]) and any of prompts.K.logits [n, vocabulary] and prompts.K.layers.I
  // [n, ...] in F32, F16 or BF16, K and I counting from 0. `dtype` in its metadata: what the recorded model computed
  // in.
  std::filesystem::path reference;
  Thresholds thresholds;
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(uint64_t done, uint64_t total)> progress;  // sequences of tokens
};

const std::vector<std::string>& default_prompts();

// Runs the source, keeps what it gives in a temporary file, lets go of it, then runs the converted model: never both in
// memory, and of the activations one layer at a time. A prompt has at most 512 tokens and fits into the context; a
// text is read in windows of 512. Where neither folder has a tokenizer, fixed ids take the place of the default
// prompts. Errors: as load(); usage for prompts, bad_file for the recording, mismatch where shapes differ.
Result<BehaviourReport> measure_behaviour(const BehaviourOptions& options);

}  // namespace pippin

// Runs language models: text from a prompt, token by token.
//
// A Model is used by one thread at a time; several models may run in several threads. Nothing is printed. Only where
// pippin was built with PIPPIN_RUNTIME.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"

namespace pippin {

struct ModelOptions {
  std::vector<std::filesystem::path> arch;  // spec files or folders that go before the built-in ones
  std::string arch_name;                    // use this spec whatever config.json says
  bool own_kernels = true;                  // on the CPU: pippin's kernels instead of MLX's
  bool check_memory = true;                 // refuse what does not fit into the memory there is
};

// Weights, tokenizer and chat template of a folder.
class Model {
 public:
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  [[nodiscard]] const std::filesystem::path& folder() const;
  [[nodiscard]] int context_length() const;  // tokens; 0: config.json does not say
  [[nodiscard]] int vocabulary_size() const;
  [[nodiscard]] uint64_t weight_bytes() const;
  [[nodiscard]] bool has_chat_template() const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }

 private:
  friend Result<Model> load(const std::filesystem::path& folder, const ModelOptions& options);
  explicit Model(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// A folder in MLX format, or a published checkpoint, which is then converted in memory. Errors: not_found, bad_file,
// bad_config, mismatch, unsupported (a model that cannot run yet), no_space (more weights than memory).
Result<Model> load(const std::filesystem::path& folder, const ModelOptions& options = {});

// What of a rendered chat is wanted, for a prompt in two parts (pippin/prompt_cache.h).
enum class PromptPart : uint8_t {
  whole,
  opening,       // up to the end of the user's message; no answer is asked for
  continuation,  // from the begin of the user's message on: what comes before it was read with the opening
};

// What to go on from. One of ids, messages and text, in this order.
struct Prompt {
  std::string text;                    // the user's message
  std::string messages;                // a JSON list of objects with role and content
  std::vector<int32_t> ids;            // taken as they are
  std::optional<std::string> system;   // a system message before them
  std::optional<std::string> prefill;  // the beginning of the answer
  bool use_template = true;            // false: the text as it is
  bool use_default_template = false;   // ChatML where the model has no template
  std::string template_variables;      // a JSON object: {"enable_thinking": false}
  PromptPart part = PromptPart::whole;
};

// As mlx_lm's samplers: top_p, min_p, XTC, top_k, in this order, then a draw at the temperature.
struct SamplingOptions {
  double temperature = 0;  // 0: always the likeliest token
  double top_p = 1;        // 0 and 1: all
  double min_p = 0;
  int min_tokens_to_keep = 1;
  int top_k = 0;  // 0: all
  double xtc_probability = 0;
  double xtc_threshold = 0.1;
  std::optional<uint64_t> seed;  // the same seed gives the same text on every machine; nothing: a new one each time

  // Penalties look at the last so many tokens, the prompt's included. 0: none.
  double repetition_penalty = 0;
  int repetition_context_size = 20;
  double presence_penalty = 0;
  int presence_context_size = 20;
  double frequency_penalty = 0;
  int frequency_context_size = 20;
  std::map<int32_t, double> logit_bias;
};

struct GenerateOptions {
  SamplingOptions sampling;
  int max_tokens = 100;                // -1: no limit but the context
  std::vector<std::string> stop;       // texts that end the answer and do not belong to it
  std::vector<std::string> extra_eos;  // tokens, or their ids in digits, that end the answer as well
  bool limit_context = true;           // a prompt beyond the model's context is an error, and the answer ends there
  int prefill_step = 2048;             // tokens of the prompt that are read at a time
  std::optional<int> max_kv_size;      // tokens kept; older ones but for the first four are forgotten
  std::optional<int> kv_bits;          // keys and values are quantized
  int kv_group_size = 64;
  int quantized_kv_start = 5000;  // tokens from which on they are
  const Model* draft = nullptr;   // a small model with the same tokenizer, which drafts tokens; outlives the run
  int draft_tokens = 3;           // drafted at a time
  const std::atomic<bool>* cancelled = nullptr;              // true ends the run; what was generated is kept
  std::function<void(int done, int total)> prompt_progress;  // tokens
};

enum class FinishReason : uint8_t {
  end,        // the model ended the answer
  stop_text,  // one of the stop texts came
  length,     // max_tokens
  context,    // the model's context is full
  callback,   // the callback wanted no more
  cancelled,
};

// "stop", "stop_text", "length", "context", "callback", "cancelled".
std::string_view name_of(FinishReason reason);

struct Generation {
  std::string text;
  std::vector<int32_t> ids;   // of the answer, without the token that ended it
  int prompt_tokens = 0;      // read in this run
  int cached_tokens = 0;      // that were there before
  int generated_tokens = 0;   // chosen, the one that ended it included
  int drafted_tokens = 0;     // by the draft model
  int accepted_tokens = 0;    // of these
  double prompt_seconds = 0;  // up to the first token
  double generation_seconds = 0;
  uint64_t peak_memory = 0;  // bytes, of the process, or of the device where there is one
  FinishReason finish = FinishReason::length;

  [[nodiscard]] double prompt_speed() const;      // tokens a second; 0 before the first answer
  [[nodiscard]] double generation_speed() const;  // after the first token, which the prompt's time includes
};

struct Segment {
  std::string text;  // final; often empty
  int32_t id = 0;
};

// false: no more.
using OnSegment = std::function<bool(const Segment&)>;

// Errors: usage (options or a prompt that make no sense, text that is not UTF-8, a prompt beyond the context), and what
// computing gives.
Result<Generation> stream(const Model& model, const Prompt& prompt, const GenerateOptions& options,
                          const OnSegment& on_segment);
Result<Generation> generate(const Model& model, const Prompt& prompt, const GenerateOptions& options = {});

}  // namespace pippin

#include "generate/answer.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

#include <fmt/format.h>
#include <mlx/device.h>

#include "generate/peak_memory.h"
#include "generate/sampler.h"
#include "generate/speculative_tokens.h"
#include "generate/stop_text.h"
#include "generate/token_source.h"
#include "source/quoted_text.h"
#include "text/streaming_detokenizer.h"

namespace pippin {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A token by its text, or else by its id in digits.
Result<int32_t> eos_of(const Tokenizer& tokenizer, const std::string& text) {
  if (const auto id = tokenizer.id_of(text)) return *id;
  int32_t id = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (code == std::errc() && end == text.data() + text.size() && id >= 0) return id;
  return fail(ErrorTag::usage, "an end token is one of the tokenizer's", in_quotes(text));
}

Result<std::vector<int32_t>> end_tokens(const Tokenizer& tokenizer, const GenerateOptions& options) {
  std::vector<int32_t> ids = tokenizer.eos_ids();
  for (const auto& text : options.extra_eos) {
    PIPPIN_TRY(const int32_t id, eos_of(tokenizer, text));
    ids.push_back(id);
  }
  return ids;
}

// Line ends and end tokens stay where XTC takes out the likeliest.
Result<TokenChooser> chooser_of(const Tokenizer& tokenizer, const GenerateOptions& options,
                                const std::vector<int32_t>& ends) {
  std::vector<int32_t> special;
  if (options.sampling.xtc_probability > 0) {
    PIPPIN_TRY(special, tokenizer.encode("\n"));
    special.insert(special.end(), ends.begin(), ends.end());
  }
  return TokenChooser(options.sampling, std::move(special));
}

// Tokens that may still be chosen, and what it means when they are.
struct Room {
  int tokens = std::numeric_limits<int>::max();
  FinishReason reason = FinishReason::length;
};

Result<Room> room_of(const LanguageModel& model, size_t in_context, const GenerateOptions& options) {
  Room room;
  if (options.max_tokens >= 0) room.tokens = options.max_tokens;
  const int limit = model.context_length();
  if (!options.limit_context || options.max_kv_size || limit == 0) return room;
  if (in_context > static_cast<size_t>(limit)) {
    return fail(ErrorTag::usage, "a prompt fits into the model's context",
                fmt::format("{} tokens, {} fit", in_context, limit),
                "shorten it, or let older tokens be forgotten (--max-kv-size)");
  }
  // The last token chosen is not read any more.
  const int left = limit - static_cast<int>(in_context) + 1;
  if (left < room.tokens) room = {left, FinishReason::context};
  return room;
}

// Collects the answer's text and hands it on.
class TextOutput {
 public:
  TextOutput(StreamingDetokenizer detokenizer, StopText stops, const OnSegment& on_segment)
      : detokenizer_(std::move(detokenizer)), stops_(std::move(stops)), on_segment_(on_segment) {}

  Status add(int32_t id) {
    PIPPIN_TRY(const std::string piece, detokenizer_.add(id));
    send(stops_.add(piece), id);
    return {};
  }

  Status finish(int32_t last) {
    PIPPIN_TRY(const std::string rest, detokenizer_.finish());
    std::string text = stops_.add(rest);
    if (!stops_.found()) text += stops_.finish();
    if (!text.empty()) send(std::move(text), last);
    return {};
  }

  [[nodiscard]] bool stopped() const { return stops_.found(); }
  [[nodiscard]] bool wanted() const { return wanted_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void send(std::string text, int32_t id) {
    text_ += text;
    if (wanted_ && on_segment_) wanted_ = on_segment_({std::move(text), id});
  }

  StreamingDetokenizer detokenizer_;
  StopText stops_;
  const OnSegment& on_segment_;
  std::string text_;
  bool wanted_ = true;
};

bool is_cancelled(const GenerateOptions& options) {
  return options.cancelled != nullptr && options.cancelled->load();
}

Status produce(TokenSource& source, const std::vector<int32_t>& ends, const Room& room, const GenerateOptions& options,
               TextOutput& output, Generation& result) {
  const auto begin = Clock::now();
  result.finish = room.reason;
  while (result.generated_tokens < room.tokens) {
    if (is_cancelled(options)) {
      result.finish = FinishReason::cancelled;
      break;
    }
    PIPPIN_TRY(const int32_t id, source.next());
    if (++result.generated_tokens == 1) result.prompt_seconds += seconds_since(begin);
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      result.finish = FinishReason::end;
      break;
    }
    result.ids.push_back(id);
    PIPPIN_CHECK(output.add(id));
    if (output.stopped() || !output.wanted()) {
      result.finish = output.stopped() ? FinishReason::stop_text : FinishReason::callback;
      break;
    }
  }
  PIPPIN_CHECK(output.finish(result.ids.empty() ? 0 : result.ids.back()));
  if (output.stopped()) result.finish = FinishReason::stop_text;
  return {};
}

}  // namespace

Status check_options(const Model::Parts& model, const GenerateOptions& o) {
  PIPPIN_CHECK(check_sampling(o.sampling, model.language.vocabulary_size()));
  const auto wrong = [](const char* rule, int value) { return fail(ErrorTag::usage, rule, fmt::format("{}", value)); };
  if (o.max_tokens < -1 || o.max_tokens == 0)
    return wrong("max-tokens is at least 1, or -1 for no limit", o.max_tokens);
  if (o.prefill_step < 1) return wrong("a step of the prompt has at least one token", o.prefill_step);
  if (o.max_kv_size && *o.max_kv_size < 8) return wrong("max-kv-size is at least 8", *o.max_kv_size);
  if (o.quantized_kv_start < 0) return wrong("quantized-kv-start is not negative", o.quantized_kv_start);
  if (!o.kv_bits) return {};
  if (*o.kv_bits != 2 && *o.kv_bits != 3 && *o.kv_bits != 4 && *o.kv_bits != 6 && *o.kv_bits != 8)
    return wrong("kv-bits is 2, 3, 4, 6 or 8", *o.kv_bits);
  if (o.kv_group_size != 32 && o.kv_group_size != 64 && o.kv_group_size != 128)
    return wrong("kv-group-size is 32, 64 or 128", o.kv_group_size);
  return {};
}

Status check_room(const Model::Parts& model, size_t in_context, const GenerateOptions& options) {
  PIPPIN_CHECK(room_of(model.language, in_context, options));
  return {};
}

Result<Contexts> make_contexts(const Model::Parts& model, const GenerateOptions& options) {
  return make_contexts(model, TokenContext(model.language, options), options);
}

Result<Contexts> make_contexts(const Model::Parts& model, TokenContext context, const GenerateOptions& options) {
  Contexts contexts{std::move(context), std::nullopt};
  if (options.draft == nullptr) return contexts;
  const Model::Parts& draft = options.draft->parts();
  PIPPIN_CHECK(check_draft(model, draft, contexts.model, options));
  contexts.draft.emplace(draft.language, options);
  return contexts;
}

Result<Generation> answer(const Model::Parts& model, Contexts& contexts, std::span<const int32_t> prompt,
                          const GenerateOptions& options, const OnSegment& on_segment) {
  TokenContext& context = contexts.model;
  Generation result;
  result.prompt_tokens = static_cast<int>(prompt.size());
  result.cached_tokens = static_cast<int>(context.tokens().size());
  PIPPIN_TRY(const Room room, room_of(model.language, context.tokens().size() + prompt.size(), options));
  PIPPIN_TRY(const std::vector<int32_t> ends, end_tokens(model.tokenizer, options));
  PIPPIN_TRY(TokenChooser chooser, chooser_of(model.tokenizer, options, ends));
  PIPPIN_TRY(StreamingDetokenizer detokenizer, StreamingDetokenizer::of(model.tokenizer, false));
  TextOutput output(std::move(detokenizer), StopText(options.stop), on_segment);

  const bool on_gpu = mlx::core::default_device() == mlx::core::Device::gpu;
  PlainTokens plain(context, chooser, options, on_gpu);
  std::optional<SpeculativeTokens> speculative;
  if (contexts.draft) speculative.emplace(context, *contexts.draft, chooser, options, room.tokens);
  TokenSource& source = speculative ? static_cast<TokenSource&>(*speculative) : plain;
  const auto begin = Clock::now();
  PIPPIN_CHECK(source.start(prompt));
  result.prompt_seconds = seconds_since(begin);
  if (is_cancelled(options)) {
    result.finish = FinishReason::cancelled;
    return result;
  }
  PIPPIN_CHECK(produce(source, ends, room, options, output, result));
  PIPPIN_CHECK(source.finish());
  result.generation_seconds = std::max(0.0, seconds_since(begin) - result.prompt_seconds);
  result.text = output.take();
  result.peak_memory = peak_memory_of_run();
  if (speculative) {
    result.drafted_tokens = speculative->drafted();
    result.accepted_tokens = speculative->accepted();
  }
  return result;
}

}  // namespace pippin

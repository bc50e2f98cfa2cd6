#include "generate/answer.h"
#include "generate/prompt_tokens.h"

namespace pippin {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::end:
      return "stop";
    case FinishReason::stop_text:
      return "stop_text";
    case FinishReason::length:
      return "length";
    case FinishReason::context:
      return "context";
    case FinishReason::callback:
      return "callback";
    case FinishReason::cancelled:
      return "cancelled";
  }
  return "";
}

double Generation::prompt_speed() const {
  return generated_tokens > 0 && prompt_seconds > 0 ? prompt_tokens / prompt_seconds : 0;
}

double Generation::generation_speed() const {
  return generated_tokens > 1 && generation_seconds > 0 ? (generated_tokens - 1) / generation_seconds : 0;
}

Result<Generation> stream(const Model& model, const Prompt& prompt, const GenerateOptions& options,
                          const OnSegment& on_segment) {
  const Model::Parts& parts = model.parts();
  PIPPIN_CHECK(check_options(parts, options));
  PIPPIN_TRY(const std::vector<int32_t> ids, prompt_tokens(parts, prompt));
  PIPPIN_TRY(Contexts contexts, make_contexts(parts, options));
  return answer(parts, contexts, ids, options, on_segment);
}

Result<Generation> generate(const Model& model, const Prompt& prompt, const GenerateOptions& options) {
  return stream(model, prompt, options, {});
}

}  // namespace pippin

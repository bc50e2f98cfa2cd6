// An answer from its prompt to its end: texts, counts, times.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/model_parts.h"
#include "generate/token_context.h"
#include "pippin/generate.h"

namespace pippin {

// Errors (usage) in options, before anything is computed.
Status check_options(const Model::Parts& model, const GenerateOptions& options);

// Error (usage) where so many tokens do not fit into the model's context.
Status check_room(const Model::Parts& model, size_t in_context, const GenerateOptions& options);

// What a model has read, and what the draft model has, if there is one.
struct Contexts {
  TokenContext model;
  std::optional<TokenContext> draft;
};
// Nothing read. Errors (usage): a draft model that does not fit.
Result<Contexts> make_contexts(const Model::Parts& model, const GenerateOptions& options);
// The same for what the model has read already.
Result<Contexts> make_contexts(const Model::Parts& model, TokenContext context, const GenerateOptions& options);

// Goes on from what the model has read with the new tokens of a prompt (at least one). Afterwards its context has these
// and the answer, but for its last token.
Result<Generation> answer(const Model::Parts& model, Contexts& contexts, std::span<const int32_t> prompt,
                          const GenerateOptions& options, const OnSegment& on_segment);

}  // namespace pippin

// An answer from its prompt to its end: texts, counts, times.
#pragma once

#include <cstdint>
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

// Goes on from what the context has read with the new tokens of a prompt (at least one). Afterwards the context has
// these and the answer, but for its last token.
Result<Generation> answer(const Model::Parts& model, TokenContext& context, std::span<const int32_t> prompt,
                          const GenerateOptions& options, const OnSegment& on_segment);

}  // namespace pippin

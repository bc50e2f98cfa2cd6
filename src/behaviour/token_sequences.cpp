#include "behaviour/token_sequences.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/tokenizer.h"

namespace pippin {
namespace {

constexpr size_t window_tokens = 512;

Result<Tokenizer> open_tokenizer(const BehaviourOptions& options) {
  auto of_source = Tokenizer::open(options.source);
  return of_source ? std::move(of_source) : Tokenizer::open(options.converted);
}

// Spread over the vocabulary, the same in every run.
std::vector<std::vector<int32_t>> fixed_ids(int vocabulary) {
  std::vector<std::vector<int32_t>> prompts(4);
  for (int64_t prompt = 0; prompt < 4; ++prompt) {
    for (int64_t k = 0; k < 24; ++k)
      prompts[static_cast<size_t>(prompt)].push_back(
          static_cast<int32_t>((7 * k * k + 3 * k + 1 + 101 * prompt) % std::max(1, vocabulary)));
  }
  return prompts;
}

void warn_of_other_tokens(const TokenSequences& sequences, const BehaviourOptions& options,
                          std::vector<std::string>& warnings) {
  const auto other = Tokenizer::open(options.converted);
  if (!other) {
    warnings.push_back("the converted model has no tokenizer: " + other.error().value);
    return;
  }
  for (size_t k = 0; k < sequences.texts.size(); ++k) {
    const auto ids = other->encode(sequences.texts[k]);
    if (!ids || *ids != sequences.prompts[k])
      warnings.push_back(fmt::format("the tokenizers of both folders give different tokens for prompt {}", k + 1));
  }
}

}  // namespace

const std::vector<std::string>& default_prompts() {
  static const std::vector<std::string> prompts{
      "The capital of France is Paris, and the capital of Italy is",
      "Once upon a time there was a king who had three sons. The eldest said to his father,",
      "def fibonacci(n):\n    \"\"\"The n-th Fibonacci number.\"\"\"\n    if n < 2:\n        return n\n    return",
      "1. Water boils at 100 degrees Celsius.\n2. Ice melts at 0 degrees.\n3. Das Wasser ist kalt, und die Sonne",
  };
  return prompts;
}

Status check_sequence(const std::vector<int32_t>& ids, const std::string& what, int vocabulary, int context) {
  const size_t most = context > 0 ? std::min(most_prompt_tokens, static_cast<size_t>(context)) : most_prompt_tokens;
  if (ids.empty()) return fail(ErrorTag::usage, "a prompt has at least one token", what + " is empty");
  if (ids.size() > most)
    return fail(ErrorTag::usage, fmt::format("a prompt that is compared has at most {} tokens", most),
                fmt::format("{} has {}", what, ids.size()), "shorten it; longer texts can be given by --text");
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary)
      return fail(ErrorTag::mismatch, "token ids lie in the model's vocabulary",
                  fmt::format("{} has the token {}, there are {}", what, id, vocabulary),
                  "check that tokenizer, recording and model belong together");
  }
  return {};
}

Result<TokenSequences> token_sequences(const BehaviourOptions& options, int vocabulary, int context,
                                       std::vector<std::string>& warnings) {
  TokenSequences sequences;
  const auto tokenizer = open_tokenizer(options);
  if (!tokenizer) {
    if (!options.prompts.empty() || !options.text.empty()) return tl::unexpected<Error>(tokenizer.error());
    warnings.push_back("no tokenizer (" + tokenizer.error().value + "): fixed token ids take the place of prompts");
    sequences.prompts = fixed_ids(vocabulary);
    return sequences;
  }
  sequences.texts = options.prompts.empty() ? default_prompts() : options.prompts;
  for (const auto& text : sequences.texts) {
    PIPPIN_TRY(std::vector<int32_t> ids, tokenizer->encode(text));
    PIPPIN_CHECK(check_sequence(ids, fmt::format("prompt {}", sequences.prompts.size() + 1), vocabulary, context));
    sequences.prompts.push_back(std::move(ids));
  }
  warn_of_other_tokens(sequences, options, warnings);
  if (options.text.empty()) return sequences;
  PIPPIN_TRY(std::vector<int32_t> ids, tokenizer->encode(options.text));
  if (ids.size() > static_cast<size_t>(std::max(0, options.text_tokens)))
    ids.resize(static_cast<size_t>(std::max(0, options.text_tokens)));
  const size_t step = context > 0 ? std::min(window_tokens, static_cast<size_t>(context)) : window_tokens;
  for (size_t begin = 0; begin + 1 < ids.size(); begin += step) {
    const auto first = ids.begin() + static_cast<ptrdiff_t>(begin);
    const auto last = ids.begin() + static_cast<ptrdiff_t>(std::min(ids.size(), begin + step));
    sequences.windows.emplace_back(first, last);
    PIPPIN_CHECK(check_sequence(sequences.windows.back(), "the text", vocabulary, context));
  }
  if (sequences.windows.empty())
    return fail(ErrorTag::usage, "a text has at least two tokens", fmt::format("it has {}", ids.size()));
  return sequences;
}

}  // namespace pippin

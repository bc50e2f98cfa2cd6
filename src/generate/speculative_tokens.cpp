#include "generate/speculative_tokens.h"

#include <algorithm>

#include <fmt/format.h>
#include <mlx/ops.h>

#include "generate/model_parts.h"
#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

constexpr size_t compared_tokens = 1000;

// The draft model's embedding may have fewer rows than the model's: it reads another token then, and drafts badly.
std::vector<int32_t> readable(std::span<const int32_t> ids, int vocabulary) {
  std::vector<int32_t> result(ids.begin(), ids.end());
  for (int32_t& id : result) id = id < vocabulary ? id : 0;
  return result;
}

void learn_last(TokenContext& context, std::span<const int32_t> ids) {
  const size_t begin = context.tokens().size() - ids.size();
  for (size_t k = 0; k < ids.size(); ++k) context.learn(begin + k, ids[k]);
}

bool same_vocabulary(const Tokenizer& a, const Tokenizer& b) {
  const size_t size = a.vocabulary_size();
  if (size != b.vocabulary_size()) return false;
  for (size_t k = 0; k < size; k += 1 + size / compared_tokens) {
    const auto id = static_cast<int32_t>(k);
    if (a.token_of(id) != b.token_of(id)) return false;
  }
  return true;
}

bool keeps_state(const LanguageModel& model) {
  const KvCache cache = model.make_cache();
  return std::any_of(cache.layers().begin(), cache.layers().end(),
                     [](const auto& layer) { return !layer.of_attention(); });
}

}  // namespace

Status SpeculativeTokens::start(std::span<const int32_t> prompt) {
  all_ = context_.tokens();
  all_.insert(all_.end(), prompt.begin(), prompt.end());
  const std::span<const int32_t> known = std::span<const int32_t>(all_).first(all_.size() - 1);
  PIPPIN_CHECK(read_in_steps(context_, prompt.first(prompt.size() - 1), options_));
  PIPPIN_CHECK(draft_.shorten(common_prefix(draft_.tokens(), known)));
  GenerateOptions silent = options_;
  silent.prompt_progress = nullptr;
  const std::span<const int32_t> unread = known.subspan(draft_.tokens().size());
  const size_t before = draft_.tokens().size();
  PIPPIN_CHECK(read_in_steps(draft_, readable(unread, draft_.model().vocabulary_size()), silent));
  learn_last(draft_, unread.first(draft_.tokens().size() - before));
  return {};
}

Result<int32_t> SpeculativeTokens::next() {
  if (ready_.empty()) {
    PIPPIN_TRY(const std::vector<int32_t> drafted, draft());
    PIPPIN_CHECK(check(drafted));
  }
  const int32_t id = ready_.front();
  ready_.pop_front();
  --left_;
  return id;
}

Result<std::vector<int32_t>> SpeculativeTokens::draft() {
  std::vector<int32_t> drafted;
  std::vector<int32_t> unread(all_.begin() + static_cast<std::ptrdiff_t>(draft_.tokens().size()), all_.end());
  const int count = std::min(options_.draft_tokens, left_ - 1);
  while (static_cast<int>(drafted.size()) < count) {
    PIPPIN_TRY(const mx::array logits, draft_.read(readable(unread, draft_.model().vocabulary_size())));
    learn_last(draft_, unread);
    PIPPIN_TRY(const int32_t id, chooser_.choose(logits, draft_.tokens()));
    if (id >= context_.model().vocabulary_size()) break;
    drafted.push_back(id);
    unread = {id};
  }
  drafted_ += static_cast<int>(drafted.size());
  return drafted;
}

Status SpeculativeTokens::check(const std::vector<int32_t>& drafted) {
  std::vector<int32_t> unread(all_.begin() + static_cast<std::ptrdiff_t>(context_.tokens().size()), all_.end());
  unread.insert(unread.end(), drafted.begin(), drafted.end());
  const auto rows = static_cast<int>(drafted.size()) + 1;
  PIPPIN_TRY(const mx::array logits, context_.read(unread, rows));
  for (int row = 0; row < rows; ++row) {
    PIPPIN_TRY(const mx::array of_row, guarded("choosing a token", [&] {
                 return mx::slice(logits, {0, row, 0}, {1, row + 1, logits.shape(2)});
               }));
    PIPPIN_TRY(const int32_t id, chooser_.choose(of_row, all_));
    all_.push_back(id);
    ready_.push_back(id);
    if (row + 1 == rows || drafted[static_cast<size_t>(row)] != id) break;
    ++accepted_;
  }
  // What was drafted wrongly is forgotten; the last token chosen has not been read by anybody.
  const auto read = std::span<const int32_t>(all_).first(all_.size() - 1);
  PIPPIN_CHECK(context_.shorten(read.size()));
  return draft_.shorten(common_prefix(draft_.tokens(), read));
}

Status SpeculativeTokens::finish() {
  const size_t given = all_.size() - ready_.size();
  return context_.shorten(given - 1);
}

Status check_draft(const Model::Parts& model, const Model::Parts& draft, const TokenContext& context,
                   const GenerateOptions& options) {
  if (options.draft_tokens < 1)
    return fail(ErrorTag::usage, "num-draft-tokens is at least 1", fmt::format("{}", options.draft_tokens));
  if (!same_vocabulary(model.tokenizer, draft.tokenizer)) {
    return fail(ErrorTag::usage, "a draft model has the model's tokenizer",
                fmt::format("{} tokens, or other ones; the model has {}", draft.tokenizer.vocabulary_size(),
                            model.tokenizer.vocabulary_size()),
                "use a small model of the same family");
  }
  if (options.max_kv_size || (context.cache().size() > 0 && context.cache().layers().front().max_size())) {
    return fail(ErrorTag::usage, "keys of wrong drafts can be forgotten again", "a cache of limited size cannot",
                "leave out --max-kv-size or the draft model");
  }
  if (keeps_state(model.language) || keeps_state(draft.language)) {
    return fail(ErrorTag::usage, "keys of wrong drafts can be forgotten again", "a recurrent model's state cannot",
                "leave out the draft model");
  }
  if (std::any_of(context.tokens().begin(), context.tokens().end(), [](int32_t id) { return id < 0; })) {
    return fail(ErrorTag::usage, "a draft model reads all tokens before the answer",
                "mlx_lm's prompt caches do not tell them", "write the prompt cache with pippin cache-prompt");
  }
  return {};
}

}  // namespace pippin

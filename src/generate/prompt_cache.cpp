#include "pippin/prompt_cache.h"

#include <chrono>
#include <utility>

#include "generate/answer.h"
#include "generate/prompt_cache_file.h"
#include "generate/prompt_tokens.h"
#include "generate/token_source.h"

namespace pippin {

namespace fs = std::filesystem;

struct PromptCache::State {
  const Model* model;
  TokenContext context;
  std::string eos_token;
  double seconds = 0;
};

PromptCache::PromptCache(std::unique_ptr<State> state) : state_(std::move(state)) {}
PromptCache::PromptCache(PromptCache&&) noexcept = default;
PromptCache& PromptCache::operator=(PromptCache&&) noexcept = default;
PromptCache::~PromptCache() = default;

Result<PromptCache> PromptCache::of(const Model& model, const Prompt& prompt, const GenerateOptions& options) {
  const Model::Parts& parts = model.parts();
  PIPPIN_CHECK(check_options(parts, options));
  PIPPIN_CHECK(check_cache_kind(parts.language, options));
  PIPPIN_TRY(const std::vector<int32_t> ids, prompt_tokens(parts, prompt));
  PIPPIN_CHECK(check_room(parts, ids.size(), options));
  TokenContext context(parts.language, options);
  const auto begin = std::chrono::steady_clock::now();
  // The last one by itself, as when an answer follows: where older tokens are forgotten, it sees others.
  const std::span<const int32_t> all(ids);
  PIPPIN_CHECK(read_in_steps(context, all.first(all.size() - 1), options));
  GenerateOptions silent = options;
  silent.prompt_progress = nullptr;
  PIPPIN_CHECK(read_in_steps(context, all.last(1), silent));
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  if (context.tokens().size() < ids.size())
    return fail(ErrorTag::interrupted, "the whole prompt is read", "it was stopped before");
  return PromptCache(std::make_unique<State>(State{&model, std::move(context), {}, time.count()}));
}

Result<PromptCache> PromptCache::open(const Model& model, const fs::path& file, const std::string& model_name,
                                      const GenerateOptions& options) {
  PIPPIN_CHECK(check_options(model.parts(), options));
  PIPPIN_TRY(StoredContext stored, read_prompt_cache(file, model.parts().language, model_name, options));
  return PromptCache(std::make_unique<State>(State{&model, std::move(stored.context), std::move(stored.eos_token), 0}));
}

Result<std::string> PromptCache::model_of(const fs::path& file) {
  return model_of_prompt_cache(file);
}

Result<fs::path> PromptCache::save(const fs::path& file, const std::string& model_name,
                                   const std::string& eos_token) const {
  fs::path path = file;
  // mlx_lm tells formats by the name.
  if (path.extension() != ".safetensors") path += ".safetensors";
  PIPPIN_CHECK(write_prompt_cache(path, state_->context, {model_name, eos_token}));
  return path;
}

int PromptCache::tokens() const {
  return static_cast<int>(state_->context.tokens().size());
}

double PromptCache::seconds() const {
  return state_->seconds;
}

Result<Generation> PromptCache::stream(const Prompt& prompt, const GenerateOptions& options,
                                       const OnSegment& on_segment) const {
  const Model::Parts& parts = state_->model->parts();
  GenerateOptions all = options;
  if (!state_->eos_token.empty()) all.extra_eos.push_back(state_->eos_token);
  PIPPIN_CHECK(check_options(parts, all));
  PIPPIN_TRY(const std::vector<int32_t> ids, prompt_tokens(parts, prompt));
  PIPPIN_TRY(Contexts contexts, make_contexts(parts, state_->context, all));
  return answer(parts, contexts, ids, all, on_segment);
}

}  // namespace pippin

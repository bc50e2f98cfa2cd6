#include <cctype>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "cli/runtime/runs.h"
#include "cli/signals.h"
#include "pippin/prompt_cache.h"

namespace pippin::cli {
namespace {

Prompt prompt_of(const GenerateArguments& a) {
  Prompt prompt;
  prompt.text = prompt_argument(a.prompt, true);
  prompt.system = a.system_prompt;
  prompt.prefill = a.prefill_response;
  prompt.use_template = !a.ignore_template;
  prompt.use_default_template = a.default_template;
  prompt.template_variables = a.template_config;
  return prompt;
}

void print_json(const Generation& g) {
  const nlohmann::ordered_json json = {{"text", g.text},
                                       {"ids", g.ids},
                                       {"finish_reason", name_of(g.finish)},
                                       {"prompt_tokens", g.prompt_tokens},
                                       {"cached_tokens", g.cached_tokens},
                                       {"generated_tokens", g.generated_tokens},
                                       {"prompt_seconds", g.prompt_seconds},
                                       {"generation_seconds", g.generation_seconds},
                                       {"prompt_tokens_per_second", g.prompt_speed()},
                                       {"generation_tokens_per_second", g.generation_speed()},
                                       {"peak_memory", g.peak_memory}};
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_speeds(const Generation& g) {
  fmt::print(stderr, "Prompt: {} tokens, {:.3f} tokens-per-sec\n", g.prompt_tokens, g.prompt_speed());
  fmt::print(stderr, "Generation: {} tokens, {:.3f} tokens-per-sec\n", g.generated_tokens, g.generation_speed());
  fmt::print(stderr, "Peak memory: {:.3f} GB\n", static_cast<double>(g.peak_memory) / 1e9);
  if (g.finish == FinishReason::context) fmt::print(stderr, "The answer ends here: the model's context is full.\n");
}

bool is_false(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "false" || text == "f";
}

Result<Generation> answer_of(const Model& model, const Prompt& prompt, const GenerateArguments& a,
                             const OnSegment& show) {
  if (a.prompt_cache_file.empty()) return stream(model, prompt, a.options, show);
  PIPPIN_TRY(const PromptCache cache, PromptCache::open(model, a.prompt_cache_file, a.model.model, a.options));
  return cache.stream(prompt, a.options, show);
}

}  // namespace

Result<int> run_generate(GenerateArguments& a, const Common& common) {
  if (!a.has_prompt)
    return fail(ErrorTag::usage, "a prompt is needed", "none was given",
                "--prompt TEXT, or --prompt - for standard input");
  const bool goes_on = !a.prompt_cache_file.empty();
  if (a.model.model.empty() && !goes_on)
    return fail(ErrorTag::usage, "a model is needed", "none was given", "--model MODEL");
  Prompt prompt = prompt_of(a);
  if (goes_on) prompt.part = PromptPart::continuation;
  if (a.model.model.empty()) {
    PIPPIN_TRY(a.model.model, PromptCache::model_of(a.prompt_cache_file));
  }
  PIPPIN_TRY(const Model model, load_model(a.model, common));
  a.options.cancelled = &stop_on_signals();
  OnSegment show;
  if (!common.json) {
    show = [](const Segment& segment) {
      std::fwrite(segment.text.data(), 1, segment.text.size(), stdout);
      return std::fflush(stdout) == 0;
    };
  }
  PIPPIN_TRY(const Generation result, answer_of(model, prompt, a, show));
  if (common.json) {
    print_json(result);
  } else {
    fmt::print("\n");
    std::fflush(stdout);
    if (!common.quiet && !is_false(a.verbose)) print_speeds(result);
  }
  return result.finish == FinishReason::cancelled ? exit_status_of(ErrorTag::interrupted) : 0;
}

}  // namespace pippin::cli

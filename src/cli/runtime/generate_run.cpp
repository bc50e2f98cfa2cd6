#include <cctype>
#include <cstdio>

#include <fmt/format.h>

#include "cli/exit_status.h"
#include "cli/runtime/generation_report.h"
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
  const bool is_batch = !a.batch.empty();
  if (!a.has_prompt && !is_batch)
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
  PIPPIN_TRY(const std::optional<Model> draft, load_draft(a.draft_model, a.model, common));
  if (draft) a.options.draft = &*draft;
  a.options.cancelled = &stop_on_signals();
  if (is_batch) return run_batch(model, prompt, a, common);
  PIPPIN_TRY(const Generation result, answer_of(model, prompt, a, shown(common)));
  if (common.json) {
    fmt::print("{}\n", json_text(result, 2));
  } else {
    fmt::print("\n");
    std::fflush(stdout);
    if (!common.quiet && !is_false(a.verbose)) print_speeds(result);
  }
  return result.finish == FinishReason::cancelled ? exit_status_of(ErrorTag::interrupted) : 0;
}

}  // namespace pippin::cli

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/json_output.h"
#include "cli/progress_line.h"
#include "cli/runtime/runs.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "pippin/prompt_cache.h"

namespace pippin::cli {

Result<int> run_cache_prompt(CachePromptArguments& a, const Common& common) {
  Prompt prompt;
  prompt.text = prompt_argument(a.prompt, false);
  prompt.part = PromptPart::opening;
  PIPPIN_TRY(const Model model, load_model(a.model, common));
  ProgressLine progress(progress_style(a.model.progress, common.quiet || common.json), "reading", ProgressUnit::items);
  a.options.cancelled = &stop_on_signals();
  a.options.prompt_progress = [&](int done, int total) {
    progress.show(static_cast<uint64_t>(done), static_cast<uint64_t>(total));
  };
  PIPPIN_TRY(const PromptCache cache, PromptCache::of(model, prompt, a.options));
  progress.clear();
  PIPPIN_TRY(const auto file, cache.save(a.prompt_cache_file, a.model.model, a.eos_token));
  const double speed = cache.seconds() > 0 ? cache.tokens() / cache.seconds() : 0;
  if (common.json) {
    const nlohmann::ordered_json json = {{"file", file.string()},
                                         {"prompt_tokens", cache.tokens()},
                                         {"prompt_seconds", cache.seconds()},
                                         {"prompt_tokens_per_second", speed},
                                         {"peak_memory", peak_memory()}};
    fmt::print("{}\n", json_text(json));
  } else if (!common.quiet) {
    fmt::print(stderr, "Prompt: {} tokens, {:.3f} tokens-per-sec\nPeak memory: {:.3f} GB\nWritten: {}\n",
               cache.tokens(), speed, static_cast<double>(peak_memory()) / 1e9, file.string());
  }
  return 0;
}

}  // namespace pippin::cli

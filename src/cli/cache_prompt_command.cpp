#include "cli/runtime_runs.h"

namespace pippin::cli {

Run add_cache_prompt(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs) {
  CLI::App& command = *app.add_subcommand("cache-prompt", "Read a prompt once and keep its keys and values in a file");
  auto a = std::make_shared<CachePromptArguments>();
  add_model_flags(command, a->model);
  command.add_option("-p,--prompt", a->prompt, "The text; - reads standard input")->required()->group("Prompt");
  command.add_option("--prompt-cache-file", a->prompt_cache_file, "Where to write, .safetensors")
      ->required()
      ->type_name("FILE");
  command.add_option("--eos-token", a->eos_token, "Token that ends answers as well");
  command.add_flag(
      "--no-context-limit", [a](int64_t) { a->options.limit_context = false; },
      "Go on beyond the context that the model was trained for");
  add_cache_flags(command, a->options);
  add_progress_option(command, a->model.progress);
  add_common_flags(command, common);
  return runtime_run("cache-prompt", runs.cache_prompt, a, common);
}

}  // namespace pippin::cli

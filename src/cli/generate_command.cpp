#include "cli/runtime_runs.h"

namespace pippin::cli {

Run add_generate(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs) {
  CLI::App& command = *app.add_subcommand("generate", "Let a model answer a prompt");
  auto a = std::make_shared<GenerateArguments>();
  add_model_flags(command, a->model)->required(false);
  add_prompt_flags(command, *a);
  command
      .add_option("--prompt-cache-file", a->prompt_cache_file,
                  "What comes before the prompt, read already: a file of pippin cache-prompt or mlx_lm.cache_prompt")
      ->type_name("FILE")
      ->group("Prompt");
  add_length_flags(command, a->options);
  add_sampling_flags(command, a->options.sampling);
  add_cache_flags(command, a->options);
  add_draft_flags(command, a->draft_model, a->options);
  command
      .add_option(
          "--batch", a->batch,
          "Prompts, one JSON object a line: {\"prompt\": TEXT} or {\"messages\": [...]}, and max_tokens, id; - reads "
          "standard input")
      ->type_name("FILE")
      ->group("Batch")
      ->excludes("--prompt");
  command.add_option("--output", a->output, "New file for the answers of --batch, a line each [standard output]")
      ->type_name("FILE")
      ->group("Batch")
      ->needs("--batch");
  add_progress_option(command, a->model.progress);
  command.add_option("--verbose", a->verbose, "True or False: print speeds and memory at the end")
      ->capture_default_str()
      ->type_name("BOOL");
  add_common_flags(command, common);
  return runtime_run("generate", runs.generate, a, common);
}

}  // namespace pippin::cli

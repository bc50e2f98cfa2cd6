#include "cli/runtime_runs.h"

namespace pippin::cli {

Run add_chat(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs) {
  CLI::App& command = *app.add_subcommand("chat", "Talk with a model");
  auto a = std::make_shared<ChatArguments>();
  // As mlx_lm.chat has them.
  a->settings.options.max_tokens = 256;
  a->settings.options.sampling.seed = 0;
  add_model_flags(command, a->model);
  const char* group = "Prompt";
  command.add_option("--system-prompt", a->settings.system, "System message at the begin")->group(group);
  command
      .add_flag("--use-default-chat-template", a->settings.use_default_template,
                "ChatML where the model has no chat template")
      ->group(group);
  command
      .add_option("--chat-template-config", a->settings.template_variables,
                  "Variables of the chat template: {\"enable_thinking\": false}")
      ->group(group)
      ->type_name("JSON");
  add_length_flags(command, a->settings.options);
  add_sampling_flags(command, a->settings.options.sampling);
  add_cache_flags(command, a->settings.options);
  add_draft_flags(command, a->draft_model, a->settings.options);
  add_common_flags(command, common);
  return runtime_run("chat", runs.chat, a, common);
}

}  // namespace pippin::cli

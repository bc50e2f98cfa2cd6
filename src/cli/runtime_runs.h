// What runs the commands that need the runtime. The converter's program has none: loading the MLX library would cost
// each of its starts more than many conversions take. It hands these commands over to pippin-runtime, beside it.
#pragma once

#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/generate_flags.h"
#include "pippin/behaviour.h"
#include "pippin/error.h"

namespace pippin::cli {

struct RuntimeRuns {
  Result<int> (*generate)(GenerateArguments&, const Common&) = nullptr;
  Result<int> (*cache_prompt)(CachePromptArguments&, const Common&) = nullptr;
  Result<int> (*chat)(ChatArguments&, const Common&) = nullptr;
  Result<BehaviourReport> (*behaviour)(const BehaviourOptions&) = nullptr;
};

// Replaces this process by pippin-runtime where the command needs it. Returns where it does not, or where the program
// is missing.
void hand_over(int argc, char** argv);

// Of a command that could not be handed over.
Error no_runtime(const std::string& command);

// Runs a command that has been handed over.
template <typename Arguments>
Run runtime_run(const char* command, Result<int> (*run)(Arguments&, const Common&),
                std::shared_ptr<Arguments> arguments, std::shared_ptr<Common> common) {
  return [command, run, arguments = std::move(arguments), common = std::move(common)]() -> Result<int> {
    if (run == nullptr) return tl::unexpected<Error>(no_runtime(command));
    return run(*arguments, *common);
  };
}

// Works without the runtime too, but for what runs models.
Run add_verify(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs);
Run add_generate(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs);
Run add_cache_prompt(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs);
Run add_chat(CLI::App& app, const std::shared_ptr<Common>& common, const RuntimeRuns& runs);

}  // namespace pippin::cli

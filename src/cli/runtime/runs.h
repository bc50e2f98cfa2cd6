// The commands that run models, as pippin-runtime has them.
#pragma once

#include "cli/runtime_runs.h"

namespace pippin::cli {

Result<int> run_generate(GenerateArguments& arguments, const Common& common);
Result<int> run_cache_prompt(CachePromptArguments& arguments, const Common& common);
Result<int> run_chat(ChatArguments& arguments, const Common& common);

// --batch: many prompts, which say what the defaults leave out.
Result<int> run_batch(const Model& model, const Prompt& defaults, const GenerateArguments& arguments,
                      const Common& common);

// The text of --prompt; "-" is what standard input has. In others \\n and \\t stand for line ends and tabs where
// `escapes` says so.
std::string prompt_argument(const std::string& given, bool escapes);

// Loads the model that the arguments name; one that is on the Hub only is downloaded first.
Result<Model> load_model(const ModelArguments& arguments, const Common& common);

// The draft model, loaded like the other; nothing where none is named.
Result<std::optional<Model>> load_draft(const std::string& name, const ModelArguments& arguments, const Common& common);

}  // namespace pippin::cli

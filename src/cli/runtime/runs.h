// The commands that run models, as pippin-runtime has them.
#pragma once

#include "cli/runtime_runs.h"

namespace pippin::cli {

Result<int> run_generate(GenerateArguments& arguments, const Common& common);

// Loads the model that the arguments name; one that is on the Hub only is downloaded first.
Result<Model> load_model(const ModelArguments& arguments, const Common& common);

}  // namespace pippin::cli

// What tells a model from others without reading all of it.
#pragma once

#include <string>

#include "pippin/error.h"
#include "runtime/language_model.h"

namespace pippin {

// From config.json and the sizes, begins and ends of the weight files: the same for a copy of the folder.
Result<std::string> mark_of(const LanguageModel& model);

}  // namespace pippin

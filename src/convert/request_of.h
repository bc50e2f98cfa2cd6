// Options as the user gave them, read into what the plan stage takes.
#pragma once

#include "pippin/convert.h"
#include "plan/request.h"
#include "spec/spec_library.h"

namespace pippin {

// Everything but the target, which the caller has chosen. Errors have tag usage and name the flag.
Result<PlanRequest> request_of(const ConvertOptions& options, Target target);

// The built-in specs and those of options.arch.
Result<SpecLibrary> library_of(const std::vector<std::filesystem::path>& arch);

}  // namespace pippin

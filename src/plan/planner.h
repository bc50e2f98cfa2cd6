// The plan stage: a checkpoint's index, a spec and a request in, a Plan out. Reads no tensor.
#pragma once

#include "pippin/error.h"
#include "plan/plan.h"
#include "plan/request.h"
#include "source/checkpoint.h"
#include "spec/spec_library.h"

namespace pippin {

Result<Plan> make_plan(const Checkpoint& checkpoint, const SpecLibrary& library, const SpecPtr& spec,
                       const PlanRequest& request);

}  // namespace pippin

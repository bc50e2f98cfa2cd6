// A plan told to the user.
#pragma once

#include "pippin/convert.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

ConvertReport report_of(const Plan& plan, const Checkpoint& checkpoint);

}  // namespace pippin

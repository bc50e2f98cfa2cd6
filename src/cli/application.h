// The whole command line tool.
#pragma once

#include "cli/runtime_runs.h"

namespace pippin::cli {

// Parses the arguments, runs the subcommand, prints its error; gives the exit status.
int run(int argc, char** argv, const RuntimeRuns& runs);

}  // namespace pippin::cli

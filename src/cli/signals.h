// Ctrl-C as a wish to stop cleanly.
#pragma once

#include <atomic>

namespace pippin::cli {

// From now on SIGINT and SIGTERM set the flag; a second one ends the process at once.
const std::atomic<bool>& stop_on_signals();

}  // namespace pippin::cli

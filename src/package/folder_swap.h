// Puts a complete folder in the place of an older one so that, whenever the process dies, one of them is there whole.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "pippin/error.h"

namespace pippin {

// All in one folder, so that renames suffice.
struct SwapPaths {
  std::filesystem::path fresh;        // the complete new folder
  std::filesystem::path destination;  // its place; may be missing, an empty folder or the older folder
  std::filesystem::path old;    // where the older one waits while the destination is empty: whole, may be restored
  std::filesystem::path waste;  // what is being removed: never used again
};

enum class SwapStep { exchange, move_old_aside, move_fresh_in, retire_old, remove_waste };

struct SwapOptions {
  bool exchange = true;  // use the system's atomic exchange of two folders where there is one
  std::function<Status(SwapStep)> before = nullptr;  // an error of it stands for the step's failure; for tests
};

// Moves `fresh` to `destination`. Gives the place where an older folder waits now (`fresh` or `old`), if there was one.
// After an error the destination is as it was.
Result<std::optional<std::filesystem::path>> swap_in(const SwapPaths& paths, const SwapOptions& options = {});

// Removes the older folder by way of `waste`, so that a half-removed one is never taken for a whole one.
Status retire(const std::filesystem::path& older, const SwapPaths& paths, const SwapOptions& options = {});

// Mends what a killed swap_in left: moves `old` back where the destination is missing, removes `waste`, and `old` where
// the destination is there.
Status mend_swap(const SwapPaths& paths);

}  // namespace pippin

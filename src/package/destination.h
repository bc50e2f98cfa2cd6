// Where an output goes, and whether it may go there. Changes nothing on the disk.
#pragma once

#include <filesystem>

#include "package/folder_swap.h"
#include "pippin/error.h"

namespace pippin {

// The absolute path of a destination with its links resolved. An error (destination) where it is empty, the root or a
// broken link.
Result<std::filesystem::path> resolve_destination(const std::filesystem::path& destination);

// The hidden siblings that a conversion to `destination` (resolved) uses: fresh is ".NAME.pippin-partial".
SwapPaths swap_paths_of(const std::filesystem::path& destination);

// An error (destination) where a resolved destination is the source, lies inside it or holds it or a file that it links
// to, by path or by file identity; or is a mount point, which no rename can replace; or is there and no folder.
Status check_place(const std::filesystem::path& destination, const std::filesystem::path& source);

// An error (destination) where the destination is a folder with anything in it.
Status check_vacant(const std::filesystem::path& destination);

}  // namespace pippin

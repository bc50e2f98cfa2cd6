#include "package/folder_swap.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>

#include "package/disk.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

bool is_empty_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) && fs::is_empty(path, error) && !error;
}

// Replaces an empty folder, never another one.
Status move_folder(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  const int error = errno;
  auto failed = disk_error(error, "move " + from.string() + " to", to);
  if (error == ENOTEMPTY || error == EEXIST || error == ENOTDIR) failed.tag = ErrorTag::destination;
  return tl::unexpected<Error>(std::move(failed));
}

Status remove_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return tl::unexpected<Error>(disk_error(error.value(), "remove", path));
  return {};
}

// Both folders change places in one step; false where the system or the file system cannot do that.
bool exchange_folders(const fs::path& a, const fs::path& b) {
#if defined(__APPLE__)
  return renamex_np(a.c_str(), b.c_str(), RENAME_SWAP) == 0;
#elif defined(RENAME_EXCHANGE)
  return renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
#else
  return static_cast<void>(a), static_cast<void>(b), false;
#endif
}

Status before(const SwapOptions& options, SwapStep step) {
  return options.before ? options.before(step) : Status();
}

Status move_fresh_in(const SwapPaths& paths, const SwapOptions& options) {
  PIPPIN_CHECK(before(options, SwapStep::move_fresh_in));
  return move_folder(paths.fresh, paths.destination);
}

// By two renames, for systems that cannot exchange folders.
Status replace(const SwapPaths& paths, const SwapOptions& options) {
  PIPPIN_CHECK(before(options, SwapStep::move_old_aside));
  PIPPIN_CHECK(move_folder(paths.destination, paths.old));
  auto moved = move_fresh_in(paths, options);
  if (!moved) PIPPIN_CHECK(move_folder(paths.old, paths.destination));
  return moved;
}

// What has been moved cannot be taken back for want of a flush: a failure here is no failure of the swap.
void flush_names(const SwapPaths& paths) {
  static_cast<void>(flush_to_disk(paths.destination.parent_path()));
}

bool is_missing_or_empty(const fs::path& folder) {
  return !is_there(folder) || is_empty_folder(folder);
}

}  // namespace

Result<std::optional<fs::path>> swap_in(const SwapPaths& paths, const SwapOptions& options) {
  std::optional<fs::path> older;
  if (is_missing_or_empty(paths.destination)) {
    PIPPIN_CHECK(move_fresh_in(paths, options));
    flush_names(paths);
    return older;
  }
  if (options.exchange) {
    PIPPIN_CHECK(before(options, SwapStep::exchange));
    if (exchange_folders(paths.fresh, paths.destination)) older = paths.fresh;
  }
  if (!older) {
    PIPPIN_CHECK(replace(paths, options));
    older = paths.old;
  }
  flush_names(paths);
  return older;
}

Status retire(const fs::path& older, const SwapPaths& paths, const SwapOptions& options) {
  PIPPIN_CHECK(before(options, SwapStep::retire_old));
  PIPPIN_CHECK(move_folder(older, paths.waste));
  PIPPIN_CHECK(before(options, SwapStep::remove_waste));
  return remove_folder(paths.waste);
}

Status mend_swap(const SwapPaths& paths) {
  if (is_there(paths.waste)) PIPPIN_CHECK(remove_folder(paths.waste));
  if (!is_there(paths.old)) return {};
  if (is_missing_or_empty(paths.destination)) return move_folder(paths.old, paths.destination);
  PIPPIN_CHECK(move_folder(paths.old, paths.waste));
  return remove_folder(paths.waste);
}

}  // namespace pippin

#include "package/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace pippin {
namespace fs = std::filesystem;
namespace {

tl::unexpected<Error> busy(const fs::path& folder) {
  return fail(ErrorTag::destination, "one run at a time writes to a folder",
              folder.string() + " is in use by another run", "wait for it to end, or choose another folder");
}

// Between opening a folder and locking it another run may have moved it away.
bool is_still_at(int number, const fs::path& folder) {
  struct stat held {};
  struct stat named {};
  return fstat(number, &held) == 0 && stat(folder.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

}  // namespace

Result<FolderLock> FolderLock::acquire(const fs::path& folder) {
  FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) return tl::unexpected<Error>(disk_error(errno, "open", folder));
  if (flock(opened.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return busy(folder);
  if (!is_still_at(opened.number(), folder)) return busy(folder);
  return FolderLock(std::move(opened));
}

}  // namespace pippin

#include "package/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr size_t copy_block = size_t{1} << 20;

tl::unexpected<Error> disk_failure(int error_number, std::string_view doing, const fs::path& path) {
  return tl::unexpected<Error>(disk_error(error_number, doing, path));
}

tl::unexpected<Error> read_failure(int error_number, const fs::path& path) {
  return fail(error_number == ENOENT ? ErrorTag::not_found : ErrorTag::io, "the source's files can be read",
              fmt::format("{}: {}", path.string(), std::strerror(error_number)));
}

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int number = 0;
  do {
    number = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  return number;
}

Status write_all(int file, const char* bytes, size_t size, const fs::path& path) {
  while (size > 0) {
    const ssize_t written = write(file, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return disk_failure(errno, "write", path);
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return {};
}

// A full disk may show only when a network file system closes the file.
Status close_written(FileDescriptor file, const fs::path& path) {
  if (close(file.release()) != 0 && errno != EINTR) return disk_failure(errno, "close", path);
  return {};
}

Result<FileDescriptor> create_file(const fs::path& path) {
  FileDescriptor file(open_retrying(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  if (!file.is_open()) return disk_failure(errno, "create", path);
  return file;
}

int flush_descriptor(int number) {
#ifdef F_FULLFSYNC
  if (fcntl(number, F_FULLFSYNC) == 0) return 0;
#endif
  return fsync(number);
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (is_open()) close(number_);
    number_ = other.release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (is_open()) close(number_);
}

Error disk_error(int error_number, std::string_view doing, const fs::path& path) {
  const std::string value = fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error_number));
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return {ErrorTag::no_space,
              "the output fits on the disk",
              value,
              "free some space and run again with --resume, or write to another disk",
              {}};
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case ENAMETOOLONG:
      return {ErrorTag::destination, "the output folder can be written", value, "choose another folder", {}};
    default:
      return {ErrorTag::io, "the disk takes the output", value, {}, {}};
  }
}

Status write_file(const fs::path& path, std::string_view text) {
  PIPPIN_TRY(auto file, create_file(path));
  PIPPIN_CHECK(write_all(file.number(), text.data(), text.size(), path));
  return close_written(std::move(file), path);
}

Status copy_regular_file(const fs::path& from, const fs::path& to) {
  // O_NONBLOCK: a pipe with a file's name must not hang the run.
  const FileDescriptor source(open_retrying(from, O_RDONLY | O_NONBLOCK));
  if (!source.is_open()) return read_failure(errno, from);
  struct stat status {};
  if (fstat(source.number(), &status) != 0) return read_failure(errno, from);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorTag::bad_file, "a file to carry over is a regular file", from.string());

  PIPPIN_TRY(auto target, create_file(to));
  std::vector<char> block(copy_block);
  off_t copied = 0;
  while (true) {
    const ssize_t count = read(source.number(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return read_failure(errno, from);
    if (count == 0) break;
    PIPPIN_CHECK(write_all(target.number(), block.data(), static_cast<size_t>(count), to));
    copied += count;
  }
  if (copied != status.st_size)
    return fail(ErrorTag::bad_file, "a source file keeps its size while it is read",
                fmt::format("{}: {} bytes, then {}", from.string(), status.st_size, copied), "run again");
  return close_written(std::move(target), to);
}

Status flush_to_disk(const fs::path& path) {
  const FileDescriptor file(open_retrying(path, O_RDONLY));
  if (!file.is_open()) return disk_failure(errno, "open", path);
  // Some file systems cannot flush a folder and say EINVAL; there is nothing more to do then.
  if (flush_descriptor(file.number()) != 0 && errno != EINVAL && errno != ENOTSUP)
    return disk_failure(errno, "flush", path);
  return {};
}

Status flush_tree_to_disk(const fs::path& folder) {
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const auto status = entry->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) PIPPIN_CHECK(flush_tree_to_disk(entry->path()));
    if (fs::is_regular_file(status)) PIPPIN_CHECK(flush_to_disk(entry->path()));
  }
  if (error) return disk_failure(error.value(), "list", folder);
  return flush_to_disk(folder);
}

}  // namespace pippin

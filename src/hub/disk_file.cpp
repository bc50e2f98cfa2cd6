#include "hub/disk_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <system_error>
#include <thread>

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t largest_text = uint64_t{64} << 20;
constexpr auto lock_poll = std::chrono::milliseconds(50);

tl::unexpected<Error> failure(std::string_view doing, const fs::path& path) {
  return tl::unexpected<Error>(download_disk_error(errno, doing, path));
}

fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  fs::path name = path;
  name += fmt::format(".{}-{}.tmp", ::getpid(), counter++);
  return name;
}

}  // namespace

Error download_disk_error(int error_number, std::string_view doing, const fs::path& path) {
  const std::string value =
      fmt::format("cannot {} {}: {}", doing, path.string(), std::generic_category().message(error_number));
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG) {
    return {ErrorTag::no_space,
            "the download fits on the disk",
            value,
            "free some space and run it again: what has arrived is kept",
            {}};
  }
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS || error_number == ENOTDIR ||
      error_number == ENAMETOOLONG || error_number == EISDIR) {
    return {ErrorTag::destination,
            "the folder of the download can be written",
            value,
            "set HF_HUB_CACHE or HF_HOME, or give --local-dir",
            {}};
  }
  return {ErrorTag::io, "the disk takes the download", value, {}, {}};
}

DiskFile& DiskFile::operator=(DiskFile&& other) noexcept {
  if (this != &other) {
    if (number_ >= 0) ::close(number_);
    number_ = std::exchange(other.number_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

DiskFile::~DiskFile() {
  if (number_ >= 0) ::close(number_);
}

Result<DiskFile> DiskFile::open(const fs::path& path, int flags) {
  DiskFile file;
  do {
    file.number_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (file.number_ < 0 && errno == EINTR);
  if (file.number_ < 0) return failure("open", path);
  file.path_ = path;
  return file;
}

Result<uint64_t> DiskFile::size() const {
  struct stat status {};
  if (::fstat(number_, &status) != 0) return failure("look at", path_);
  return static_cast<uint64_t>(status.st_size);
}

Status DiskFile::write(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(number_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("write", path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Status DiskFile::read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(number_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path_);
    if (got == 0) return fail(ErrorTag::bad_file, "a file does not change while it is read", path_.string());
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

Status DiskFile::set_size(uint64_t size) const {
  while (::ftruncate(number_, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return failure("resize", path_);
  }
  return {};
}

Status DiskFile::flush() const {
#ifdef F_FULLFSYNC
  if (::fcntl(number_, F_FULLFSYNC) == 0) return {};
#endif
  if (::fsync(number_) != 0 && errno != EINVAL && errno != ENOTSUP) return failure("flush", path_);
  return {};
}

bool DiskFile::try_lock() const {
  return ::flock(number_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

Status make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error && !fs::is_directory(folder))
    return tl::unexpected<Error>(download_disk_error(error.value(), "create", folder));
  return {};
}

Status replace_file(const fs::path& path, std::string_view text) {
  const fs::path temporary = temporary_name(path);
  auto written = [&]() -> Status {
    PIPPIN_TRY(const DiskFile file, DiskFile::open(temporary, O_WRONLY | O_CREAT | O_EXCL));
    return file.write(0, std::as_bytes(std::span(text)));
  }();
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const int number = errno;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  if (!written) return written;
  return tl::unexpected<Error>(download_disk_error(number, "replace", path));
}

std::optional<std::string> text_of_file(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error || size > largest_text) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::string text(size, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  return text;
}

Result<std::optional<DiskFile>> wait_for_lock(const fs::path& path, const std::function<bool()>& stopped) {
  PIPPIN_CHECK(make_folders(path.parent_path()));
  PIPPIN_TRY(DiskFile file, DiskFile::open(path, O_RDWR | O_CREAT));
  while (!file.try_lock()) {
    if (stopped && stopped()) return std::optional<DiskFile>();
    std::this_thread::sleep_for(lock_poll);
  }
  return std::optional<DiskFile>(std::move(file));
}

}  // namespace pippin

#include "execute/shard_files.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pippin {
namespace {

std::string text_of_errno(int number) {
  return std::generic_category().message(number);
}

bool is_about_space(int number) {
  return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

Error write_error(const std::string& path, int number, uint64_t needed) {
  const std::string text = text_of_errno(number);
  if (is_about_space(number)) {
    std::error_code ignored;
    const auto space = std::filesystem::space(std::filesystem::path(path).parent_path(), ignored);
    return Error{ErrorTag::no_space,
                 "the output fits on the disk",
                 fmt::format("{}: {}; {} bytes needed, {} free", path, text, needed, ignored ? 0 : space.available),
                 "free some space, or choose a folder on another disk; --resume goes on from what is written",
                 {}};
  }
  if (number == EACCES || number == EPERM || number == EROFS) {
    return Error{ErrorTag::destination,
                 "the output folder can be written",
                 fmt::format("{}: {}", path, text),
                 "choose another folder, or change its permissions",
                 {}};
  }
  return Error{ErrorTag::io, "the output can be written", fmt::format("{}: {}", path, text), {}, {}};
}

// Reserves disk space, so that a full disk shows before hours of work. Where the file system has no such call, writing
// will tell.
int reserve(int descriptor, uint64_t size) {
#if defined(__APPLE__)
  // Counts from the end of what is allocated.
  struct stat status {};
  const uint64_t there = ::fstat(descriptor, &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
  if (there >= size) return 0;
  fstore_t store{F_ALLOCATEALL, F_PEOFPOSMODE, 0, static_cast<off_t>(size - there), 0};
  if (::fcntl(descriptor, F_PREALLOCATE, &store) == -1 && is_about_space(errno)) return errno;
#elif defined(__linux__)
  int failure = 0;
  do {
    failure = ::fallocate(descriptor, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  } while (failure == EINTR);
  if (is_about_space(failure)) return failure;
#else
  static_cast<void>(descriptor), static_cast<void>(size);
#endif
  return 0;
}

uint64_t allocated_bytes(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

}  // namespace

ShardFiles::ShardFiles(const std::vector<Shard>& shards, const std::filesystem::path& folder)
    : shards_(shards), folder_(folder) {
  for (const Shard& shard : shards) files_.emplace_back().path = (folder / shard.file).string();
}

ShardFiles::~ShardFiles() {
  for (const File& file : files_) {
    if (const int descriptor = file.descriptor.load(); descriptor >= 0) ::close(descriptor);
  }
}

Status ShardFiles::create(bool keep) {
  PIPPIN_CHECK(check_space());
  for (uint32_t shard = 0; shard < shards_.size(); shard++) {
    auto created = create_one(shard, keep);
    if (created) continue;
    // Reserved space is given back; there is nothing in the files yet.
    for (uint32_t i = 0; i <= shard && !keep; i++) ::unlink(files_[i].path.c_str());
    return created;
  }
  return {};
}

// Compares what is still to be allocated with what the disk has free.
Status ShardFiles::check_space() const {
  uint64_t needed = 0;
  for (size_t i = 0; i < shards_.size(); i++) {
    const uint64_t size = shards_[i].size;
    needed += size - std::min(size, allocated_bytes(files_[i].path));
  }
  std::error_code error;
  const auto space = std::filesystem::space(folder_, error);
  if (error || space.available >= needed) return {};
  return tl::unexpected<Error>(write_error((folder_ / "").string(), ENOSPC, needed));
}

Status ShardFiles::create_one(uint32_t shard, bool keep) {
  const uint64_t size = shards_[shard].size;
  const std::string& path = files_[shard].path;
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0666);
  if (descriptor < 0) return tl::unexpected<Error>(write_error(path, errno, size));
  files_[shard].descriptor = descriptor;
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0)
    return tl::unexpected<Error>(write_error(path, errno, size));
  if (const int failure = reserve(descriptor, size); failure != 0)
    return tl::unexpected<Error>(write_error(path, failure, size));
  PIPPIN_CHECK(write(shard, 0, std::as_bytes(std::span(shards_[shard].header))));
  files_[shard].descriptor = -1;
  ::close(descriptor);
  return {};
}

Result<int> ShardFiles::descriptor_of(uint32_t shard) {
  File& file = files_[shard];
  if (const int open = file.descriptor.load(); open >= 0) return open;
  const std::lock_guard lock(opening_);
  if (const int open = file.descriptor.load(); open >= 0) return open;
  const int descriptor = ::open(file.path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return tl::unexpected<Error>(write_error(file.path, errno, 0));
  file.descriptor = descriptor;
  return descriptor;
}

Status ShardFiles::write(uint32_t shard, uint64_t offset, std::span<const std::byte> bytes) {
  PIPPIN_TRY(const int descriptor, descriptor_of(shard));
  files_[shard].unflushed += bytes.size();
  while (!bytes.empty()) {
    const size_t wanted = std::min<size_t>(bytes.size(), size_t{1} << 30);
    const ssize_t written = ::pwrite(descriptor, bytes.data(), wanted, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected<Error>(write_error(files_[shard].path, errno, bytes.size()));
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

void ShardFiles::begin_to_flush() {
#if defined(__linux__)
  constexpr uint64_t worth_it = 16 << 20;
  for (File& file : files_) {
    if (file.unflushed < worth_it || file.descriptor < 0) continue;
    file.unflushed = 0;
    ::sync_file_range(file.descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
  }
#endif
}

Status ShardFiles::finish(uint32_t shard) {
  PIPPIN_TRY(const int descriptor, descriptor_of(shard));
#if defined(__APPLE__)
  const int result = ::fsync(descriptor);
#else
  const int result = ::fdatasync(descriptor);
#endif
  if (result != 0) return tl::unexpected<Error>(write_error(files_[shard].path, errno, 0));
  files_[shard].descriptor = -1;
  ::close(descriptor);
  return {};
}

bool ShardFiles::is_intact(uint32_t shard) const {
  const std::string& header = shards_[shard].header;
  struct stat status {};
  const std::string& path = files_[shard].path;
  if (::stat(path.c_str(), &status) != 0 || static_cast<uint64_t>(status.st_size) != shards_[shard].size) return false;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  std::string found(header.size(), '\0');
  const ssize_t got = ::pread(descriptor, found.data(), found.size(), 0);
  ::close(descriptor);
  return got == static_cast<ssize_t>(found.size()) && found == header;
}

}  // namespace pippin

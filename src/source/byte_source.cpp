#include "source/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <system_error>

#include "source/descriptor_cache.h"

namespace pippin {
namespace {

std::string text_of_errno(int number) {
  return std::generic_category().message(number);
}

void advise(int descriptor, uint64_t offset, uint64_t size, bool wanted) {
#if defined(__APPLE__)
  // No way to give pages back there; read-ahead takes at most an int.
  if (!wanted) return;
  radvisory advice{};
  advice.ra_offset = static_cast<off_t>(offset);
  advice.ra_count = static_cast<int>(std::min<uint64_t>(size, INT_MAX));
  ::fcntl(descriptor, F_RDADVISE, &advice);
#elif defined(POSIX_FADV_WILLNEED)
  ::posix_fadvise(descriptor, static_cast<off_t>(offset), static_cast<off_t>(size),
                  wanted ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED);
#else
  static_cast<void>(descriptor), static_cast<void>(offset), static_cast<void>(size), static_cast<void>(wanted);
#endif
}

class FileSource final : public ByteSource {
 public:
  FileSource(std::string path, FileIdentity identity)
      : path_(std::move(path)), identity_(identity), key_(DescriptorCache::of_process().new_key()) {}
  ~FileSource() override { DescriptorCache::of_process().drop(key_); }

  [[nodiscard]] Status read(uint64_t offset, std::span<std::byte> out) const override {
    if (!inside(offset, out.size())) {
      return fail(ErrorTag::io, "a read lies inside its file",
                  fmt::format("{}: {} bytes from {} of {}", path_, out.size(), offset, identity_.size));
    }
    if (out.empty()) return {};
    PIPPIN_TRY(const auto descriptor, DescriptorCache::of_process().get(key_, path_, identity_));
    while (!out.empty()) {
      // Linux and macOS refuse or cut reads beyond 2 GiB.
      const size_t wanted = std::min<size_t>(out.size(), size_t{1} << 30);
      const ssize_t got = ::pread(descriptor->number(), out.data(), wanted, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        return fail(ErrorTag::io, "the file can be read",
                    fmt::format("{}: {} at byte {}", path_, text_of_errno(errno), offset),
                    "check the disk or the network share that the file is on");
      }
      if (got == 0) {
        return fail(ErrorTag::bad_file, "a file does not change while it is read",
                    fmt::format("{} had {} bytes and now ends at {}", path_, identity_.size, offset),
                    "wait until the download is complete, then start again");
      }
      out = out.subspan(static_cast<size_t>(got));
      offset += static_cast<uint64_t>(got);
    }
    return {};
  }

  void will_need(uint64_t offset, uint64_t size) const override {
    if (size == 0 || !inside(offset, size)) return;
    const auto descriptor = DescriptorCache::of_process().get(key_, path_, identity_);
    if (descriptor) advise((*descriptor)->number(), offset, size, true);
  }

  void done_with(uint64_t offset, uint64_t size) const override {
    if (size == 0 || !inside(offset, size)) return;
    const auto descriptor = DescriptorCache::of_process().get(key_, path_, identity_);
    if (descriptor) advise((*descriptor)->number(), offset, size, false);
  }

  // A file that was replaced has another time of change.
  [[nodiscard]] std::string identity() const override {
    struct stat status {};
    std::string changed;
    if (::stat(path_.c_str(), &status) == 0) {
#if defined(__APPLE__)
      const timespec& time = status.st_mtimespec;
#else
      const timespec& time = status.st_mtim;
#endif
      changed = fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec);
    }
    return fmt::format("{} {} {}", std::filesystem::path(path_).filename().string(), identity_.size, changed);
  }

  [[nodiscard]] uint64_t size() const override {
    return identity_.size;
  }
  [[nodiscard]] const std::string& name() const override {
    return path_;
  }

 private:
  [[nodiscard]] bool inside(uint64_t offset, uint64_t size) const {
    return offset <= identity_.size && size <= identity_.size - offset;
  }

  std::string path_;
  FileIdentity identity_;
  uint64_t key_;
};

tl::unexpected<Error> cannot_open(const std::string& path, int number) {
  std::error_code ignored;
  if (number == ENOENT && std::filesystem::is_symlink(path, ignored)) {
    const auto target = std::filesystem::read_symlink(path, ignored).string();
    return fail(ErrorTag::not_found, "a link leads to a file",
                fmt::format("{} links to {}, which is missing", path, target),
                "the download is incomplete: download the model again");
  }
  if (number == ENOENT || number == ENOTDIR) {
    return fail(ErrorTag::not_found, "the file exists", fmt::format("{}: {}", path, text_of_errno(number)),
                "check the path");
  }
  return fail(ErrorTag::io, "the file can be opened", fmt::format("{}: {}", path, text_of_errno(number)),
              "check the rights of the file and of its folder");
}

}  // namespace

void ByteSource::announce_use(uint64_t /*offset*/, uint64_t /*size*/) const {}
void ByteSource::end_use(uint64_t /*offset*/, uint64_t /*size*/) const {}

Result<std::unique_ptr<ByteSource>> open_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return cannot_open(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorTag::bad_file, "an input is a regular file",
                fmt::format("{} is {}", path, S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket"),
                "put the file itself there");
  }
  const FileIdentity identity{static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino),
                              static_cast<uint64_t>(status.st_size)};
  return std::make_unique<FileSource>(path, identity);
}

}  // namespace pippin

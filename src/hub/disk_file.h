// Files that are written as bytes arrive: errors of the disk as values, locks, and small files that appear whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "pippin/error.h"

namespace pippin {

// A descriptor, closed with the object.
class DiskFile {
 public:
  DiskFile() = default;
  DiskFile(DiskFile&& other) noexcept : number_(std::exchange(other.number_, -1)), path_(std::move(other.path_)) {}
  DiskFile& operator=(DiskFile&& other) noexcept;
  ~DiskFile();

  // flags as open(2); a file that is created gets mode 0666 less the umask.
  static Result<DiskFile> open(const std::filesystem::path& path, int flags);

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Result<uint64_t> size() const;
  [[nodiscard]] Status write(uint64_t offset, std::span<const std::byte> bytes) const;
  [[nodiscard]] Status read(uint64_t offset, std::span<std::byte> out) const;
  [[nodiscard]] Status set_size(uint64_t size) const;
  [[nodiscard]] Status flush() const;
  // Takes the lock that belongs to the open file; false where another process or thread has it. A file system without
  // locks gives it to everybody.
  [[nodiscard]] bool try_lock() const;

 private:
  int number_ = -1;
  std::filesystem::path path_;
};

// no_space for a full disk, destination where it may not be written, else io.
Error download_disk_error(int error_number, std::string_view doing, const std::filesystem::path& path);

Status make_folders(const std::filesystem::path& folder);

// Creates or replaces a small file: others see the old text or the new one.
Status replace_file(const std::filesystem::path& path, std::string_view text);

// At most 64 MiB; nothing where it cannot be read.
std::optional<std::string> text_of_file(const std::filesystem::path& path);

// Waits for the lock of a file, which is created and stays. Gives nothing when `stopped` says so first.
Result<std::optional<DiskFile>> wait_for_lock(const std::filesystem::path& path, const std::function<bool()>& stopped);

}  // namespace pippin

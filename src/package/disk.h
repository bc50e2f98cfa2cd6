// Writing to the disk: whole files, copies, and the flush that makes them outlive a power cut.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "pippin/error.h"

namespace pippin {

// An open file or folder, closed with the object.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }  // no longer closed with the object

 private:
  int number_ = -1;
};

// The error of a failed system call on a path of the output: no_space for a full disk, destination where it may not be
// written, else io. error_number is errno. doing: "write", "create".
Error disk_error(int error_number, std::string_view doing, const std::filesystem::path& path);

// Creates the file or replaces its content. Mode 0644 where the umask allows.
Status write_file(const std::filesystem::path& path, std::string_view text);

// Copies the bytes of a regular file (symlinks are followed) in blocks of 1 MiB. Mode as write_file. A source that
// is no regular file, or changes its size while it is read, is an error.
Status copy_regular_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Waits until a file's bytes, or a folder's names, are on the disk.
Status flush_to_disk(const std::filesystem::path& path);

// The same for a folder and everything in it, files before the folders that name them.
Status flush_tree_to_disk(const std::filesystem::path& folder);

}  // namespace pippin

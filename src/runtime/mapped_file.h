// A file's bytes as memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "pippin/error.h"

namespace pippin {

// Private and writable, since MLX may write into buffers that it believes its own; the file stays as it is.
class MappedFile {
 public:
  static Result<std::shared_ptr<MappedFile>> open(const std::filesystem::path& path, uint64_t size);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] void* at(uint64_t offset) const;

 private:
  MappedFile(void* data, uint64_t size) : data_(data), size_(size) {}
  void* data_;
  uint64_t size_;
};

}  // namespace pippin

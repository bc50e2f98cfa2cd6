// A file of a supply, as the checkpoint reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hub/listing.h"
#include "pippin/error.h"
#include "source/byte_source.h"

namespace pippin {

// What a supply does for its files. Any number of threads; `file` counts from 0.
class FileSupplier {
 public:
  FileSupplier() = default;
  FileSupplier(const FileSupplier&) = delete;
  FileSupplier& operator=(const FileSupplier&) = delete;
  virtual ~FileSupplier() = default;

  // Fills `out`, which lies inside the file and is not empty; waits for the bytes.
  virtual Status read(size_t file, uint64_t offset, std::span<std::byte> out) = 0;
  // A use of the range was announced (by = 1) or has ended (-1).
  virtual void change_uses(size_t file, uint64_t offset, uint64_t size, int by) = 0;
};

class SuppliedFile final : public ByteSource {
 public:
  // The supplier outlives the file.
  SuppliedFile(FileSupplier& supplier, size_t number, const RepoFile& file);

  [[nodiscard]] Status read(uint64_t offset, std::span<std::byte> out) const override;
  void will_need(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  void done_with(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  void announce_use(uint64_t offset, uint64_t size) const override;
  void end_use(uint64_t offset, uint64_t size) const override;
  [[nodiscard]] std::string identity() const override { return identity_; }
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  FileSupplier& supplier_;
  size_t number_;
  uint64_t size_;
  std::string name_;
  std::string identity_;
};

}  // namespace pippin

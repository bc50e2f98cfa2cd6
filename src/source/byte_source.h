// A run of bytes that can be read anywhere: a file on disk now, a ranged download later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pippin/error.h"

namespace pippin {

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  // Fills `out` from `offset`. Any number of threads may call it. A source that has become shorter is an error
  // (bad_file), never a short read.
  [[nodiscard]] virtual Status read(uint64_t offset, std::span<std::byte> out) const = 0;

  // Tells that [offset, offset + size) will be wanted soon; may do nothing.
  virtual void will_need(uint64_t offset, uint64_t size) const = 0;

  // Tells that the range is not wanted again, so that the page cache need not keep it; may do nothing.
  virtual void done_with(uint64_t offset, uint64_t size) const = 0;

  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;  // for messages
};

// A regular file, opened read-only on first use. At most 64 files of the process are kept open (least recently
// used are closed), so that a checkpoint of many hundred shards does not run out of descriptors.
Result<std::unique_ptr<ByteSource>> open_file(const std::string& path);

}  // namespace pippin

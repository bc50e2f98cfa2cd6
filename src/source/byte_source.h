// A run of bytes that can be read anywhere: a file on disk, or one that is still on its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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

  // Fills `out` from `offset`, and waits where the bytes have not arrived. Any number of threads may call it. A source
  // that has become shorter is an error (bad_file), never a short read.
  [[nodiscard]] virtual Status read(uint64_t offset, std::span<std::byte> out) const = 0;

  // Tells that [offset, offset + size) will be wanted soon; may do nothing.
  virtual void will_need(uint64_t offset, uint64_t size) const = 0;

  // Tells that the range is not wanted again, so that the page cache need not keep it; may do nothing.
  virtual void done_with(uint64_t offset, uint64_t size) const = 0;

  // Announces a use of the range, and its end: a source that keeps bytes for a while only lets go of those whose uses
  // have all ended. All uses are announced before the first read.
  virtual void announce_use(uint64_t offset, uint64_t size) const;
  virtual void end_use(uint64_t offset, uint64_t size) const;

  // What tells these bytes from others under the same name, for resuming: one line of text.
  [[nodiscard]] virtual std::string identity() const = 0;

  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;  // for messages
};

// A regular file, opened read-only on first use. At most 64 files of the process are kept open (least recently
// used are closed), so that a checkpoint of many hundred shards does not run out of descriptors.
Result<std::unique_ptr<ByteSource>> open_file(const std::string& path);

// Opens what stands under a path.
using OpenSource = std::function<Result<std::unique_ptr<ByteSource>>(const std::string& path)>;

}  // namespace pippin

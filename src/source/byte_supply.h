// Bytes of a checkpoint that arrive while they are read.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "pippin/error.h"
#include "source/byte_source.h"

namespace pippin {

// The files of a checkpoint, numbered in its order. Reads may see bytes before their digest is known; confirm() tells.
class ByteSupply {
 public:
  ByteSupply() = default;
  ByteSupply(const ByteSupply&) = delete;
  ByteSupply& operator=(const ByteSupply&) = delete;
  // Ends the supply; nobody may read any more.
  virtual ~ByteSupply() = default;

  // Begins. `folder` takes notes for a later run, and perhaps bytes for a while; resume: those of an earlier run count.
  virtual Result<std::vector<std::unique_ptr<ByteSource>>> begin(const std::filesystem::path& folder, bool resume) = 0;

  // How many bytes from the file's begin are the same as those that an earlier run, or this one before confirm(), read.
  [[nodiscard]] virtual uint64_t trusted_bytes(size_t file) const = 0;

  // Waits until the files that were read from, or all, are there whole and right. Gives those that gave other bytes
  // before: what was made of them is wrong. After it, trusted_bytes() says so, and they can be read anew.
  virtual Result<std::vector<size_t>> confirm(bool all) = 0;

  // A range that will be compared with another one. Told after begin(), before the first read.
  struct Range {
    size_t file;
    uint64_t offset;
    uint64_t size;
    auto operator<=>(const Range&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 errs
  };
  virtual void will_compare(const Range& range) = 0;
  // Whether two such ranges hold the same bytes, after confirm(true). Nothing where that cannot be told any more.
  virtual Result<std::optional<bool>> are_same(const Range& a, const Range& b) = 0;

  // Removes what stands in the folder.
  virtual Status end() = 0;
};

}  // namespace pippin

// A weight file's bytes as memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "linear/large_pages.h"
#include "pippin/error.h"
#include "source/byte_source.h"

namespace pippin {

// Read into large pages, from which a token takes half the time that it takes from the page cache; the bytes are MLX's
// to write into, which the file's are not.
class ResidentFile {
 public:
  static Result<std::shared_ptr<ResidentFile>> read(const ByteSource& file);

  [[nodiscard]] void* at(uint64_t offset) const { return memory_.bytes().data() + offset; }

 private:
  explicit ResidentFile(LargePageMemory memory) : memory_(std::move(memory)) {}
  LargePageMemory memory_;
};

}  // namespace pippin

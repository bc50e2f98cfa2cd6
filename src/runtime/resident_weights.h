// A checkpoint's bytes in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "linear/large_pages.h"
#include "pippin/error.h"
#include "source/checkpoint.h"

namespace pippin {

// All tensors, read into large pages, each at the begin of a cache line: a token's pass reads them all, and takes half
// the time that it takes from the page cache. The bytes are MLX's to write into, which the files' are not.
class ResidentWeights {
 public:
  static Result<std::shared_ptr<ResidentWeights>> read(const Checkpoint& checkpoint);

  // The bytes of Checkpoint::tensors()[tensor].
  [[nodiscard]] void* at(uint32_t tensor) const { return memory_.bytes().data() + places_[tensor]; }

 private:
  ResidentWeights(LargePageMemory memory, std::vector<uint64_t> places)
      : memory_(std::move(memory)), places_(std::move(places)) {}
  LargePageMemory memory_;
  std::vector<uint64_t> places_;
};

}  // namespace pippin

#include "runtime/resident_weights.h"

#include <algorithm>
#include <numeric>

namespace pippin {
namespace {

constexpr uint64_t line = 64;

}  // namespace

Result<std::shared_ptr<ResidentWeights>> ResidentWeights::read(const Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors();
  // In the order of the files, so that the disk reads ahead.
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&tensors](uint32_t a, uint32_t b) {
    return std::pair(tensors[a].file, tensors[a].offset) < std::pair(tensors[b].file, tensors[b].offset);
  });
  std::vector<uint64_t> places(tensors.size());
  uint64_t bytes = 0;
  for (const uint32_t tensor : order) {
    places[tensor] = bytes;
    bytes += (tensors[tensor].size + line - 1) / line * line;
  }
  PIPPIN_TRY(LargePageMemory memory, LargePageMemory::of(std::max(bytes, line)));
  for (const uint32_t tensor : order) {
    const TensorInfo& info = tensors[tensor];
    PIPPIN_CHECK(checkpoint.read(info, 0, memory.bytes().subspan(places[tensor], info.size)));
  }
  return std::shared_ptr<ResidentWeights>(new ResidentWeights(std::move(memory), std::move(places)));
}

}  // namespace pippin

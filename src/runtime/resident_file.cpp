#include "runtime/resident_file.h"

#include <algorithm>
#include <cstddef>

namespace pippin {

Result<std::shared_ptr<ResidentFile>> ResidentFile::read(const ByteSource& file) {
  constexpr uint64_t piece = uint64_t{64} << 20;
  PIPPIN_TRY(LargePageMemory memory, LargePageMemory::of(std::max<size_t>(file.size(), 1)));
  for (uint64_t at = 0; at < file.size(); at += piece) {
    const uint64_t count = std::min(piece, file.size() - at);
    PIPPIN_CHECK(file.read(at, memory.bytes().subspan(at, count)));
  }
  return std::shared_ptr<ResidentFile>(new ResidentFile(std::move(memory)));
}

}  // namespace pippin

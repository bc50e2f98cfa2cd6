// Any bytes as a safetensors header: an error or a header whose entries keep the format's promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "source/safetensors.h"

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

// The first two bytes give the size of the data, the others are the header.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  const uint64_t data_size = bytes[0] | uint64_t{bytes[1]} << 8;
  const std::string_view text(reinterpret_cast<const char*>(bytes + 2), size - 2);
  const auto header = pippin::parse_safetensors_header(text, data_size, "model.safetensors");
  if (!header) {
    require(!header.error().message().empty() && !header.error().rule.empty());
    return 0;
  }
  uint64_t at = 8 + text.size();
  for (const auto& entry : header->entries) {
    const auto count = pippin::checked_element_count(entry.shape);
    require(count && static_cast<uint64_t>(*count) * size_of(entry.dtype) == entry.size);
    require(entry.offset == at);
    at += entry.size;
  }
  require(at == 8 + text.size() + data_size);
  return 0;
}

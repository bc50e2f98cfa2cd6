// The safetensors format: an 8-byte little-endian length, a JSON header, the tensors' bytes.
// Format: https://huggingface.co/docs/safetensors
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/dtype.h"
#include "pippin/error.h"
#include "source/byte_source.h"
#include "tensor/shape.h"

namespace pippin {

struct SafetensorsEntry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t offset;  // from the file's begin
  uint64_t size;    // bytes; equals element count * size_of(dtype)
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their offsets
  nlohmann::ordered_json metadata;        // the "__metadata__" object, or null
};

// Reads and checks a whole header. Trusts nothing: length against the file, UTF-8, JSON, duplicate names, dtypes,
// shape products, byte counts, ranges, overlaps and holes. where: the file's name for messages.
Result<SafetensorsHeader> read_safetensors_header(const ByteSource& file);

// The same from bytes in memory: `header` without its length, `data_size` the bytes that follow it in the file.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view header, uint64_t data_size, std::string_view where);

}  // namespace pippin

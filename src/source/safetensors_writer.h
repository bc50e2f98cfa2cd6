// The header of a safetensors file to write. Format: https://huggingface.co/docs/safetensors
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "pippin/dtype.h"
#include "tensor/shape.h"

namespace pippin {

// A tensor of the file. Its bytes: element_count(shape) * size_of(dtype), row-major, little-endian.
struct SafetensorsTensor {
  std::string name;  // UTF-8, unlike every other name of the file
  DType dtype;
  Shape shape;  // checked: the bytes of all tensors together fit uint64
};

// The first bytes of the file: the length and the JSON, padded with spaces to a multiple of 8.
// The tensors' bytes follow without gaps, in the order given: tensor i begins at the returned size plus the bytes of
// the tensors before it. To keep elements aligned, give wide dtypes first.
// metadata becomes "__metadata__"; it is left out where empty. Pure; bytes that are not UTF-8 become U+FFFD.
std::string safetensors_header(std::span<const SafetensorsTensor> tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace pippin

// Element types as the safetensors format names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pippin {

enum class DType : uint8_t {
  BOOL,
  U8,
  I8,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  U16,
  I16,
  F16,
  BF16,
  U32,
  I32,
  F32,
  U64,
  I64,
  F64
};

// Bytes of one element.
size_t size_of(DType dtype);

// The name in a safetensors header ("BF16").
std::string_view name_of(DType dtype);

// The dtype of a safetensors name; nothing where the name is unknown.
std::optional<DType> dtype_of(std::string_view name);

// Whether MLX counts the dtype as floating: F16, BF16, F32 and F64. The 8-bit floats arrive as raw bytes in MLX.
bool is_floating(DType dtype);

}  // namespace pippin

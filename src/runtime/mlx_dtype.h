// pippin's dtypes and shapes as MLX's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mlx/array.h>

#include "pippin/dtype.h"
#include "pippin/error.h"
#include "tensor/shape.h"

namespace pippin {

// 8-bit floats are raw bytes in MLX. Errors: unsupported. name: the tensor's, for messages.
Result<mlx::core::Dtype> mlx_dtype_of(DType dtype, const std::string& name);

// Errors: unsupported where an extent exceeds MLX's 32 bits.
Result<mlx::core::Shape> mlx_shape_of(const Shape& shape, const std::string& name);

// F32, F16 or BF16; nothing for any other.
std::optional<DType> floating_dtype_of(mlx::core::Dtype dtype);

// "float32", "bfloat16", "float16", "int32" ...; throws Fault on another name.
mlx::core::Dtype mlx_dtype_named(std::string_view name);

}  // namespace pippin

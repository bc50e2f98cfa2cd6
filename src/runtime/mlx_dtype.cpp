#include "runtime/mlx_dtype.h"

#include <limits>

#include "runtime/fault.h"

namespace pippin {

namespace mx = mlx::core;

Result<mx::Dtype> mlx_dtype_of(DType dtype, const std::string& name) {
  switch (dtype) {
    case DType::BOOL:
      return mx::bool_;
    case DType::U8:
    case DType::F8_E4M3:
    case DType::F8_E5M2:
    case DType::F8_E8M0:
      return mx::uint8;
    case DType::I8:
      return mx::int8;
    case DType::U16:
      return mx::uint16;
    case DType::I16:
      return mx::int16;
    case DType::F16:
      return mx::float16;
    case DType::BF16:
      return mx::bfloat16;
    case DType::U32:
      return mx::uint32;
    case DType::I32:
      return mx::int32;
    case DType::F32:
      return mx::float32;
    case DType::U64:
      return mx::uint64;
    case DType::I64:
      return mx::int64;
    case DType::F64:
      break;
  }
  return fail(ErrorTag::unsupported, "MLX has the tensor's dtype on all devices",
              name + " is " + std::string(name_of(dtype)), "convert the model with --dtype");
}

Result<mx::Shape> mlx_shape_of(const Shape& shape, const std::string& name) {
  mx::Shape result;
  for (const int64_t extent : shape) {
    if (extent < 0 || extent > std::numeric_limits<int32_t>::max())
      return fail(ErrorTag::unsupported, "an axis has less than 2^31 entries", name);
    result.push_back(static_cast<int32_t>(extent));
  }
  return result;
}

std::optional<DType> floating_dtype_of(mx::Dtype dtype) {
  if (dtype == mx::float32) return DType::F32;
  if (dtype == mx::float16) return DType::F16;
  if (dtype == mx::bfloat16) return DType::BF16;
  return std::nullopt;
}

mx::Dtype mlx_dtype_named(std::string_view name) {
  if (name == "float32") return mx::float32;
  if (name == "bfloat16") return mx::bfloat16;
  if (name == "float16") return mx::float16;
  if (name == "int32") return mx::int32;
  if (name == "int64") return mx::int64;
  throw Fault({ErrorTag::bad_spec, "a dtype of a decoder is one that it computes in", std::string(name), "", {}});
}

}  // namespace pippin

#include "pippin/dtype.h"

#include <array>

namespace pippin {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t size;
  bool floating;
};

constexpr std::array<DTypeRow, 16> rows{{
    {DType::BOOL, "BOOL", 1, false},
    {DType::U8, "U8", 1, false},
    {DType::I8, "I8", 1, false},
    {DType::F8_E4M3, "F8_E4M3", 1, false},
    {DType::F8_E5M2, "F8_E5M2", 1, false},
    {DType::F8_E8M0, "F8_E8M0", 1, false},
    {DType::U16, "U16", 2, false},
    {DType::I16, "I16", 2, false},
    {DType::F16, "F16", 2, true},
    {DType::BF16, "BF16", 2, true},
    {DType::U32, "U32", 4, false},
    {DType::I32, "I32", 4, false},
    {DType::F32, "F32", 4, true},
    {DType::U64, "U64", 8, false},
    {DType::I64, "I64", 8, false},
    {DType::F64, "F64", 8, true},
}};

}  // namespace

size_t size_of(DType dtype) {
  return rows[static_cast<size_t>(dtype)].size;
}

std::string_view name_of(DType dtype) {
  return rows[static_cast<size_t>(dtype)].name;
}

std::optional<DType> dtype_of(std::string_view name) {
  for (const auto& row : rows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

bool is_floating(DType dtype) {
  return rows[static_cast<size_t>(dtype)].floating;
}

}  // namespace pippin

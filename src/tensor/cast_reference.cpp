#include "tensor/cast_reference.h"

#include "tensor/element.h"

namespace pippin {
namespace {

// Truncates as x86 does, without C's undefined cases: what does not fit int64 (or uint64 for U64), and NaN, is int64's
// least value; narrower integers keep the low bits.
template <typename Integer, typename Float>
Integer truncated(Float value) {
  if constexpr (std::is_same_v<Integer, uint64_t>) {
    if (value >= Float(0x1p63) && value < Float(0x1p64)) return static_cast<uint64_t>(value);
  }
  const bool fits = value >= Float(-0x1p63) && value < Float(0x1p63);
  const int64_t wide = fits ? static_cast<int64_t>(value) : std::numeric_limits<int64_t>::min();
  return static_cast<Integer>(wide);
}

template <DType To, typename Value>
typename Element<To>::Storage converted(Value value) {
  using Storage = typename Element<To>::Storage;
  if constexpr (To == DType::BOOL) {
    return value != Value(0);
  } else if constexpr (To == DType::F64) {
    return static_cast<double>(value);
  } else if constexpr (requires { Element<To>::store(0.0f); }) {
    return Element<To>::store(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<Value>) {
    return truncated<Storage>(value);
  } else {
    return static_cast<Storage>(value);
  }
}

template <DType From, DType To>
void cast_all(const void* in, void* out, int64_t count) {
  using Source = typename Element<From>::Storage;
  for (int64_t i = 0; i < count; ++i) {
    write_at(out, i, converted<To>(Element<From>::load(read_at<Source>(in, i))));
  }
}

template <DType From>
void cast_from(const void* in, DType to, void* out, int64_t count) {
  switch (to) {
    case DType::BOOL:
      return cast_all<From, DType::BOOL>(in, out, count);
    case DType::U8:
      return cast_all<From, DType::U8>(in, out, count);
    case DType::I8:
      return cast_all<From, DType::I8>(in, out, count);
    case DType::F8_E4M3:
      return cast_all<From, DType::F8_E4M3>(in, out, count);
    case DType::U16:
      return cast_all<From, DType::U16>(in, out, count);
    case DType::I16:
      return cast_all<From, DType::I16>(in, out, count);
    case DType::F16:
      return cast_all<From, DType::F16>(in, out, count);
    case DType::BF16:
      return cast_all<From, DType::BF16>(in, out, count);
    case DType::U32:
      return cast_all<From, DType::U32>(in, out, count);
    case DType::I32:
      return cast_all<From, DType::I32>(in, out, count);
    case DType::F32:
      return cast_all<From, DType::F32>(in, out, count);
    case DType::U64:
      return cast_all<From, DType::U64>(in, out, count);
    case DType::I64:
      return cast_all<From, DType::I64>(in, out, count);
    case DType::F64:
      return cast_all<From, DType::F64>(in, out, count);
    case DType::F8_E5M2:
    case DType::F8_E8M0:
      std::memset(out, 0, static_cast<size_t>(count));
      return;
  }
}

template <DType D>
int64_t nonfinite_in(const void* values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    found += !std::isfinite(Element<D>::load(read_at<typename Element<D>::Storage>(values, i)));
  }
  return found;
}

}  // namespace

void reference_cast(DType from, const void* in, DType to, void* out, int64_t count) {
  if (from == to) {
    if (count > 0) std::memcpy(out, in, static_cast<size_t>(count) * size_of(from));
    return;
  }
  switch (from) {
    case DType::BOOL:
      return cast_from<DType::BOOL>(in, to, out, count);
    case DType::U8:
      return cast_from<DType::U8>(in, to, out, count);
    case DType::I8:
      return cast_from<DType::I8>(in, to, out, count);
    case DType::F8_E4M3:
      return cast_from<DType::F8_E4M3>(in, to, out, count);
    case DType::F8_E5M2:
      return cast_from<DType::F8_E5M2>(in, to, out, count);
    case DType::F8_E8M0:
      return cast_from<DType::F8_E8M0>(in, to, out, count);
    case DType::U16:
      return cast_from<DType::U16>(in, to, out, count);
    case DType::I16:
      return cast_from<DType::I16>(in, to, out, count);
    case DType::F16:
      return cast_from<DType::F16>(in, to, out, count);
    case DType::BF16:
      return cast_from<DType::BF16>(in, to, out, count);
    case DType::U32:
      return cast_from<DType::U32>(in, to, out, count);
    case DType::I32:
      return cast_from<DType::I32>(in, to, out, count);
    case DType::F32:
      return cast_from<DType::F32>(in, to, out, count);
    case DType::U64:
      return cast_from<DType::U64>(in, to, out, count);
    case DType::I64:
      return cast_from<DType::I64>(in, to, out, count);
    case DType::F64:
      return cast_from<DType::F64>(in, to, out, count);
  }
}

int64_t reference_count_nonfinite(DType dtype, const void* values, int64_t count) {
  switch (dtype) {
    case DType::F16:
      return nonfinite_in<DType::F16>(values, count);
    case DType::BF16:
      return nonfinite_in<DType::BF16>(values, count);
    case DType::F32:
      return nonfinite_in<DType::F32>(values, count);
    case DType::F64:
      return nonfinite_in<DType::F64>(values, count);
    default:
      return 0;
  }
}

}  // namespace pippin

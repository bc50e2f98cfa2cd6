// The C++ side of each dtype: how one element is stored, and its value.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "pippin/dtype.h"
#include "tensor/small_float.h"

namespace pippin {

// Storage is the type in memory, load() gives the value: a float, a double or an integer. store() takes a float and
// is there for the formats that MLX computes in.
template <DType>
struct Element;

template <typename T>
struct PlainElement {
  using Storage = T;
  static T load(T stored) { return stored; }
};

template <>
struct Element<DType::U8> : PlainElement<uint8_t> {};
template <>
struct Element<DType::I8> : PlainElement<int8_t> {};
template <>
struct Element<DType::U16> : PlainElement<uint16_t> {};
template <>
struct Element<DType::I16> : PlainElement<int16_t> {};
template <>
struct Element<DType::U32> : PlainElement<uint32_t> {};
template <>
struct Element<DType::I32> : PlainElement<int32_t> {};
template <>
struct Element<DType::U64> : PlainElement<uint64_t> {};
template <>
struct Element<DType::I64> : PlainElement<int64_t> {};
template <>
struct Element<DType::F64> : PlainElement<double> {};

template <>
struct Element<DType::F32> : PlainElement<float> {
  static float store(float value) { return value; }
};

template <>
struct Element<DType::F16> {
  using Storage = uint16_t;
  static float load(uint16_t stored) { return f16_to_float(stored); }
  static uint16_t store(float value) { return float_to_f16(value); }
};

template <>
struct Element<DType::BF16> {
  using Storage = uint16_t;
  static float load(uint16_t stored) { return bf16_to_float(stored); }
  static uint16_t store(float value) { return float_to_bf16(value); }
};

template <>
struct Element<DType::BOOL> {
  using Storage = uint8_t;
  static uint8_t load(uint8_t stored) { return stored != 0; }
};

template <>
struct Element<DType::F8_E4M3> {
  using Storage = uint8_t;
  static float load(uint8_t stored) { return e4m3_to_float(stored); }
  static uint8_t store(float value) { return float_to_e4m3(value); }
};

template <>
struct Element<DType::F8_E5M2> {
  using Storage = uint8_t;
  static float load(uint8_t stored) { return e5m2_to_float(stored); }
};

template <>
struct Element<DType::F8_E8M0> {
  using Storage = uint8_t;
  static float load(uint8_t stored) { return e8m0_to_float(stored); }
};

// Calls call.operator()<D>() for a dtype D that MLX quantizes; does nothing for others.
template <typename Call>
void for_dtype(DType dtype, const Call& call) {
  if (dtype == DType::F32) call.template operator()<DType::F32>();
  if (dtype == DType::F16) call.template operator()<DType::F16>();
  if (dtype == DType::BF16) call.template operator()<DType::BF16>();
}

// Reads or writes element `i` of an array that need not be aligned.
template <typename T>
T read_at(const void* base, int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(base) + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <typename T>
void write_at(void* base, int64_t i, T value) {
  std::memcpy(static_cast<char*>(base) + i * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

}  // namespace pippin

#include "ghost/ghost_values.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

uint64_t seed_of(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

uint64_t splitmix64(uint64_t seed, uint64_t i) {
  uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

float unit_float(uint64_t z) {
  return static_cast<float>(static_cast<int64_t>(z >> 40) - (int64_t{1} << 23)) * 0x1p-26F;
}

uint16_t bfloat16_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// To nearest, ties to even. The value is scaled so that one unit is the last place of its half, then rounded.
uint16_t half_of(double value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7E00;
  if (magnitude >= 65520.0) return sign | 0x7C00;
  if (magnitude < 0x1p-14)
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24)));
  const int exponent = std::ilogb(magnitude);
  const auto mantissa = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));  // 1024 to 2048
  return static_cast<uint16_t>(sign | (((exponent + 15) << 10) + (mantissa - 1024)));
}

template <typename T, typename Value>
void store(std::span<std::byte> out, Value value) {
  const size_t count = out.size() / sizeof(T);
  for (size_t i = 0; i < count; ++i) {
    const T element = value(i);
    std::memcpy(out.data() + i * sizeof(T), &element, sizeof(T));
  }
}

void fill_by_formula(std::string_view name, std::string_view dtype, uint64_t first, std::span<std::byte> out) {
  const uint64_t seed = seed_of(name);
  const auto z = [=](size_t i) { return splitmix64(seed, first + i); };
  const auto byte = [=](size_t i) { return static_cast<uint8_t>(z(i) >> 56); };
  if (dtype == "F32") return store<float>(out, [=](size_t i) { return unit_float(z(i)); });
  if (dtype == "BF16") return store<uint16_t>(out, [=](size_t i) { return bfloat16_of(unit_float(z(i))); });
  if (dtype == "F16") return store<uint16_t>(out, [=](size_t i) { return half_of(unit_float(z(i))); });
  if (dtype == "F64") return store<double>(out, [=](size_t i) { return static_cast<double>(unit_float(z(i))); });
  if (dtype == "F8_E4M3") {
    return store<uint8_t>(out,
                          [=](size_t i) -> uint8_t { return (byte(i) & 0x7F) == 0x7F ? byte(i) & 0xFB : byte(i); });
  }
  if (dtype == "F8_E5M2") {
    return store<uint8_t>(out,
                          [=](size_t i) -> uint8_t { return (byte(i) & 0x7C) == 0x7C ? byte(i) & 0xFB : byte(i); });
  }
  if (dtype == "F8_E8M0")
    return store<uint8_t>(out, [=](size_t i) { return static_cast<uint8_t>(120 + (z(i) >> 60)); });
  if (dtype == "U8" || dtype == "I8") return store<uint8_t>(out, byte);
  if (dtype == "U16" || dtype == "I16")
    return store<uint16_t>(out, [=](size_t i) { return static_cast<uint16_t>(z(i) >> 48); });
  if (dtype == "U32" || dtype == "I32")
    return store<uint32_t>(out, [=](size_t i) { return static_cast<uint32_t>(z(i) >> 32); });
  if (dtype == "U64" || dtype == "I64") return store<uint64_t>(out, [=](size_t i) { return z(i) >> 56; });
  if (dtype == "BOOL") return store<uint8_t>(out, [=](size_t i) { return static_cast<uint8_t>(z(i) >> 63); });
  throw std::runtime_error(fmt::format("{}: dtype {} has no ghost values", name, dtype));
}

// Casts values (of int64_t or double) as NumPy's astype does.
template <typename Value>
void store_cast(std::string_view name, std::string_view dtype, std::span<std::byte> out, Value value) {
  if (dtype == "F32") return store<float>(out, [=](size_t i) { return static_cast<float>(value(i)); });
  if (dtype == "BF16") return store<uint16_t>(out, [=](size_t i) { return bfloat16_of(static_cast<float>(value(i))); });
  if (dtype == "F16") return store<uint16_t>(out, [=](size_t i) { return half_of(static_cast<double>(value(i))); });
  if (dtype == "F64") return store<double>(out, [=](size_t i) { return static_cast<double>(value(i)); });
  if (dtype == "BOOL") return store<uint8_t>(out, [=](size_t i) { return static_cast<uint8_t>(value(i) != 0); });
  const auto integer = [=](size_t i) { return static_cast<int64_t>(value(i)); };
  if (dtype == "U8" || dtype == "I8")
    return store<uint8_t>(out, [=](size_t i) { return static_cast<uint8_t>(integer(i)); });
  if (dtype == "U16" || dtype == "I16")
    return store<uint16_t>(out, [=](size_t i) { return static_cast<uint16_t>(integer(i)); });
  if (dtype == "U32" || dtype == "I32")
    return store<uint32_t>(out, [=](size_t i) { return static_cast<uint32_t>(integer(i)); });
  if (dtype == "U64" || dtype == "I64") return store<int64_t>(out, integer);
  throw std::runtime_error(fmt::format("{}: a fill cannot be of dtype {}", name, dtype));
}

}  // namespace

size_t ghost_element_size(std::string_view dtype) {
  if (dtype == "F64" || dtype == "U64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "U32" || dtype == "I32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "U16" || dtype == "I16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL" || dtype.starts_with("F8_")) return 1;
  throw std::runtime_error(fmt::format("dtype {} is unknown", dtype));
}

void fill_ghost(std::string_view name, std::string_view dtype, const Json& fill, uint64_t first,
                std::span<std::byte> out) {
  if (!fill.is_object() || !fill.contains("fill")) return fill_by_formula(name, dtype, first, out);
  const auto kind = fill.at("fill").get<std::string>();
  if (kind == "const" && fill.at("value").is_number_float()) {
    return store_cast(name, dtype, out, [value = fill.at("value").get<double>()](size_t) { return value; });
  }
  if (kind == "const") {
    return store_cast(name, dtype, out, [value = fill.at("value").get<int64_t>()](size_t) { return value; });
  }
  if (kind == "range") {
    const auto div = fill.value("div", int64_t{1});
    const auto mod = fill.value("mod", int64_t{0});
    return store_cast(name, dtype, out, [=](size_t i) {
      const int64_t value = static_cast<int64_t>(first + i) / div;
      return mod == 0 ? value : value % mod;
    });
  }
  throw std::runtime_error(fmt::format("{}: unknown fill {}", name, kind));
}

}  // namespace pippin

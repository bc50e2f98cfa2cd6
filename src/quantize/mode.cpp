#include "quantize/mode.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pippin {
namespace {

constexpr std::array affine_bits{1, 2, 3, 4, 5, 6, 8};
constexpr std::array affine_groups{32, 64, 128};
constexpr std::array four_bits{4};
constexpr std::array eight_bits{8};
constexpr std::array groups_of_16{16};
constexpr std::array groups_of_32{32};

constexpr std::array<QuantModeRow, 4> rows{{
    {QuantMode::affine, "affine", 4, 64, affine_bits, affine_groups, true},
    {QuantMode::mxfp4, "mxfp4", 4, 32, four_bits, groups_of_32, false},
    {QuantMode::mxfp8, "mxfp8", 8, 32, eight_bits, groups_of_32, false},
    {QuantMode::nvfp4, "nvfp4", 4, 16, four_bits, groups_of_16, false},
}};

Status check_one(std::string_view what, std::string_view mode, int value, std::span<const int> allowed) {
  if (std::ranges::find(allowed, value) != allowed.end()) return {};
  return fail(ErrorTag::usage, fmt::format("mode {} has {} {}", mode, what, fmt::join(allowed, ", ")),
              fmt::format("{} {}", what, value), fmt::format("choose one of {}", fmt::join(allowed, ", ")));
}

}  // namespace

std::span<const QuantModeRow> quant_modes() {
  return rows;
}

const QuantModeRow& row_of(QuantMode mode) {
  return rows[static_cast<size_t>(mode)];
}

std::optional<QuantMode> quant_mode_of(std::string_view name) {
  for (const auto& row : rows) {
    if (row.name == name) return row.mode;
  }
  return std::nullopt;
}

Status check(const QuantFormat& format) {
  const QuantModeRow& row = row_of(format.mode);
  PIPPIN_CHECK(check_one("bits", row.name, format.bits, row.bits));
  return check_one("group size", row.name, format.group_size, row.group_sizes);
}

}  // namespace pippin

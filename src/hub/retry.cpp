#include "hub/retry.h"

#include <array>

namespace pippin {
namespace {

constexpr std::array<double, 5> delays{1, 2, 4, 8, 8};
constexpr uint64_t longest_wait = 600;

}  // namespace

bool is_passing(long status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

std::optional<double> delay_after(int failures) {
  if (failures < 1 || static_cast<size_t>(failures) > delays.size()) return std::nullopt;
  return delays[static_cast<size_t>(failures) - 1];
}

std::optional<double> delay_after(int failures, const HttpAnswer& answer) {
  const auto plain = delay_after(failures);
  const auto asked = seconds_to_wait(answer.headers);
  if (!plain || !asked) return plain;
  if (*asked > longest_wait) return std::nullopt;
  return static_cast<double>(*asked + 1);
}

}  // namespace pippin

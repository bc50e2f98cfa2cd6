#include "verify/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr size_t block_elements = size_t{1} << 18;

std::string describe(const TensorInfo& tensor) {
  return fmt::format("{} {}", name_of(tensor.dtype), to_string(tensor.shape));
}

uint64_t count_differing(const std::byte* a, const std::byte* b, size_t count, size_t element_size) {
  uint64_t differing = 0;
  for (size_t element = 0; element < count; ++element)
    differing += std::memcmp(a + element * element_size, b + element * element_size, element_size) != 0;
  return differing;
}

// The blocks of one tensor on both sides, and what was found in them.
class PairReader {
 public:
  PairReader(const Checkpoint& a, const Checkpoint& b, const CompareOptions& options, Comparison& report)
      : a_(a), b_(b), options_(options), report_(report), bytes_a_(block_elements * 8), bytes_b_(block_elements * 8) {}

  Status compare(const TensorInfo& a, const TensorInfo& b, TensorDifference& found) {
    const auto elements = static_cast<uint64_t>(element_count(a.shape));
    found.elements = elements;
    for (uint64_t begin = 0; begin < elements; begin += block_elements) {
      if (options_.cancelled && *options_.cancelled)
        return fail(ErrorTag::interrupted, {}, "stopped while comparing " + a.name);
      const auto count = static_cast<size_t>(std::min<uint64_t>(block_elements, elements - begin));
      PIPPIN_CHECK(read(a_, a, begin, count, bytes_a_));
      PIPPIN_CHECK(read(b_, b, begin, count, bytes_b_));
      if (options_.progress) options_.progress(report_.compared_bytes);
      if (a.dtype == b.dtype && std::memcmp(bytes_a_.data(), bytes_b_.data(), count * size_of(a.dtype)) == 0) continue;
      compare_block(a.dtype, b.dtype, count, found);
    }
    return {};
  }

 private:
  Status read(const Checkpoint& from, const TensorInfo& tensor, uint64_t begin, size_t count,
              std::vector<std::byte>& out) {
    const size_t size = size_of(tensor.dtype);
    report_.compared_bytes += count * size;
    return from.read(tensor, begin * size, std::span(out).first(count * size));
  }

  void compare_block(DType a, DType b, size_t count, TensorDifference& found) {
    const bool same_dtype = a == b;
    if (same_dtype) found.differing_elements += count_differing(bytes_a_.data(), bytes_b_.data(), count, size_of(a));
    if (!is_floating(a) || !is_floating(b)) return;
    values_a_.resize(block_elements);
    values_b_.resize(block_elements);
    cast(a, bytes_a_.data(), DType::F64, values_a_.data(), static_cast<int64_t>(count));
    cast(b, bytes_b_.data(), DType::F64, values_b_.data(), static_cast<int64_t>(count));
    double largest = found.largest_difference.value_or(0);
    for (size_t element = 0; element < count; ++element) {
      const double x = values_a_[element];
      const double y = values_b_[element];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      if (!same_dtype) ++found.differing_elements;
      if (std::isfinite(x) && std::isfinite(y)) {
        largest = std::max(largest, std::abs(x - y));
      } else {
        ++found.nonfinite_pairs;
      }
    }
    found.largest_difference = largest;
  }

  const Checkpoint& a_;
  const Checkpoint& b_;
  const CompareOptions& options_;
  Comparison& report_;
  std::vector<std::byte> bytes_a_, bytes_b_;
  std::vector<double> values_a_, values_b_;
};

Status compare_pair(const TensorInfo& a, const TensorInfo& b, PairReader& reader, Comparison& report) {
  TensorDifference found{a.name, DifferenceKind::values, describe(a), describe(b), 0, 0, std::nullopt, 0};
  if (a.dtype != b.dtype) found.kind = DifferenceKind::dtype;
  if (a.shape != b.shape) found.kind = DifferenceKind::shape;
  const bool values_compare = a.dtype == b.dtype || (is_floating(a.dtype) && is_floating(b.dtype));
  if (a.shape == b.shape && values_compare) PIPPIN_CHECK(reader.compare(a, b, found));
  if (found.kind == DifferenceKind::values && found.differing_elements == 0) {
    ++report.equal_tensors;
  } else {
    report.differences.push_back(std::move(found));
  }
  return {};
}

}  // namespace

Result<Comparison> compare(const Checkpoint& a, const Checkpoint& b, const CompareOptions& options) {
  Comparison report;
  PairReader reader(a, b, options, report);
  auto in_a = a.tensors().begin();
  auto in_b = b.tensors().begin();
  // Both lists are sorted by name.
  while (in_a != a.tensors().end() || in_b != b.tensors().end()) {
    if (in_b == b.tensors().end() || (in_a != a.tensors().end() && in_a->name < in_b->name)) {
      report.differences.push_back({in_a->name, DifferenceKind::only_in_a, describe(*in_a), {}, 0, 0, std::nullopt, 0});
      ++in_a;
    } else if (in_a == a.tensors().end() || in_b->name < in_a->name) {
      report.differences.push_back({in_b->name, DifferenceKind::only_in_b, {}, describe(*in_b), 0, 0, std::nullopt, 0});
      ++in_b;
    } else {
      PIPPIN_CHECK(compare_pair(*in_a++, *in_b++, reader, report));
    }
  }
  return report;
}

std::string_view name_of(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::only_in_a:
      return "only in a";
    case DifferenceKind::only_in_b:
      return "only in b";
    case DifferenceKind::dtype:
      return "dtype";
    case DifferenceKind::shape:
      return "shape";
    case DifferenceKind::values:
      return "values";
  }
  return "unknown";
}

}  // namespace pippin

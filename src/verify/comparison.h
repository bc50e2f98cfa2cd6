// Compares two checkpoints tensor by tensor, whatever their shards.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "source/checkpoint.h"

namespace pippin {

enum class DifferenceKind {
  only_in_a,  // the tensor is missing in b
  only_in_b,
  dtype,   // and perhaps values
  shape,   // values are not compared
  values,  // same dtype and shape
};

struct TensorDifference {
  std::string name;
  DifferenceKind kind;
  std::string a, b;                 // dtype and shape, as "BF16 [2, 3]"; empty where the tensor is missing
  uint64_t elements = 0;            // compared; 0 where values are not
  uint64_t differing_elements = 0;  // by bits; where the dtypes differ, by value
  // The largest |a - b|, for floating dtypes (F16, BF16, F32, F64). Pairs with a NaN or infinity are not in it, but in
  // nonfinite_pairs, unless both values are the same.
  std::optional<double> largest_difference;
  uint64_t nonfinite_pairs = 0;
};

struct Comparison {
  uint64_t equal_tensors = 0;
  uint64_t compared_bytes = 0;                // of both checkpoints
  std::vector<TensorDifference> differences;  // sorted by name
  [[nodiscard]] bool is_equal() const { return differences.empty(); }
};

struct CompareOptions {
  const std::atomic<bool>* cancelled = nullptr;       // true ends with tag interrupted
  std::function<void(uint64_t bytes_read)> progress;  // after each block; of both checkpoints
};

// Reads both in blocks; takes some 12 MB whatever their size. Names, dtypes, shapes and bytes count; the file a tensor
// lies in, the metadata and config.json do not. Runs on the calling thread.
Result<Comparison> compare(const Checkpoint& a, const Checkpoint& b, const CompareOptions& options = {});

// "values" and so on, for reports.
std::string_view name_of(DifferenceKind kind);

}  // namespace pippin

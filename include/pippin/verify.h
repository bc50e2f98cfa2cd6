// Proves that a converted model is what its source says: every tensor derived again from the source and compared.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pippin/error.h"

namespace pippin {

struct VerifyOptions {
  std::filesystem::path source;
  std::filesystem::path converted;
  std::string target = "auto";  // as the conversion's; auto: what the output's stamp says, else by config.json
  std::string rounding;         // empty: what the stamp says, else "metal"
  std::vector<std::filesystem::path> arch;
  std::string arch_name;
  int threads = 0;
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(uint64_t done, uint64_t total)> progress;  // weights compared
};

// Of a tensor's finite values.
struct TensorStatistics {
  double smallest = 0;
  double largest = 0;
  double mean = 0;
  double deviation = 0;  // root of the mean squared distance from the mean
};

// One parameter of the model, source against output. Errors are of the output's (unpacked) values against the source's.
struct TensorFidelity {
  std::string name;
  std::string format;  // "BF16", or "affine 4 bits, group 64"
  uint64_t elements = 0;
  bool exact = false;         // the output's bytes are those that the conversion of the source gives
  double largest_error = 0;   // max |output - source|
  double mean_error = 0;      // mean |output - source|
  double relative_error = 0;  // root of sum (output - source)^2 / sum source^2
  double cosine = 1;          // of both tensors as vectors
  uint64_t nonfinite = 0;     // pairs with a NaN or infinity; not in the figures
  TensorStatistics before;    // of the source's values, as the conversion cast them
  TensorStatistics after;     // of the output's
};

// Where the source's tensors went. Every parameter of the model has its tensor on both sides and no tensor is
// unexpected, or verify() fails.
struct StructureReport {
  uint64_t source_tensors = 0;
  uint64_t output_tensors = 0;
  std::vector<std::string> left_out;  // of the source, by the rules of the architecture; sorted
};

struct VerifyReport {
  std::string target;
  std::string model_type;
  StructureReport structure;
  std::vector<TensorFidelity> tensors;  // in the order of the model
  uint64_t exact = 0;                   // how many are
  uint64_t elements = 0;
  double seconds = 0;
  std::vector<std::string> warnings;
  [[nodiscard]] bool all_exact() const { return exact == tensors.size(); }
};

// Both must be complete models of one architecture; what is missing or misshapen is an error (mismatch). Memory as
// convert().
Result<VerifyReport> verify(const VerifyOptions& options);

}  // namespace pippin

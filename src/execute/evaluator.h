// Computes parts of recipes from source bytes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "execute/box.h"
#include "execute/scratch.h"
#include "recipe/recipe.h"
#include "source/checkpoint.h"

namespace pippin {

// What evaluators of a run have in common.
struct EvaluationSettings {
  const Checkpoint* source = nullptr;
  Rounding rounding = Rounding::metal;
  bool allow_nonfinite = false;
};

// One thread's evaluator. Each operation asks its inputs for the box it needs, so that no tensor is ever whole in
// memory. An operation that needs a buffer for its inputs cuts its box until they fit `buffer_limit` bytes.
class Evaluator {
 public:
  explicit Evaluator(const EvaluationSettings& settings) : settings_(settings) {}

  // Writes the box, dense and row-major, to out; a box of no elements writes nothing. Errors: nonfinite, and those of
  // reading the source.
  Status evaluate(const Recipe& recipe, const Box& box, std::byte* out);

  // Forgets what was kept for the recipes so far, and sets the limit for the next.
  void start(size_t buffer_limit) {
    buffer_limit_ = buffer_limit;
    norms_.clear();
  }
  Scratch& scratch() { return scratch_; }

  [[nodiscard]] uint64_t bytes_read() const { return bytes_read_; }
  [[nodiscard]] uint64_t nonfinite_values() const { return nonfinite_values_; }

 private:
  friend struct Operation;

  EvaluationSettings settings_;
  Scratch scratch_;
  size_t buffer_limit_ = size_t{1} << 20;
  uint64_t bytes_read_ = 0;
  uint64_t nonfinite_values_ = 0;
  std::map<const Recipe*, std::vector<float>> norms_;  // whole, where every block needs them: columns of a matrix
};

// The most buffers that evaluating the recipe holds at once, each of at most the buffer limit.
int buffer_depth(const Recipe& recipe);

}  // namespace pippin

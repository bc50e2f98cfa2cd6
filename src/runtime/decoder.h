// A decoder program with its weights, ready to run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linear/thread_pool.h"
#include "pippin/error.h"
#include "runtime/language_model.h"
#include "runtime/operation.h"
#include "spec/decoder_program.h"

namespace pippin {

class Decoder {
 public:
  // Looks up all weights. pool: for pippin's own kernels; null: MLX's. Errors: mismatch, unsupported, bad_config.
  static Result<Decoder> make(DecoderProgram program, const WeightSource& weights, std::shared_ptr<ThreadPool> pool);

  // See LanguageModel::forward. Throws what MLX throws, and Fault.
  [[nodiscard]] mlx::core::array forward(const mlx::core::array& ids, KvCache& cache, bool last_only,
                                         const StepObserver* observer) const;

  // One for each operation that keeps something.
  [[nodiscard]] const std::vector<CacheKind>& caches() const { return caches_; }
  [[nodiscard]] int layers() const { return program_.layers; }

 private:
  explicit Decoder(DecoderProgram program) : program_(std::move(program)) {}
  void find_slots();
  void find_last_uses();
  void find_groups();
  void find_last_position();

  DecoderProgram program_;
  std::vector<Operation> operations_;
  std::vector<size_t> slots_;  // of each node: the cache that it would have if it kept something
  std::vector<CacheKind> caches_;
  std::vector<std::vector<int>> released_;  // nodes whose values nobody reads after this one
  std::map<int, OperationGroup> groups_;    // by node; for pippin's own kernels
  int cut_node_ = -1;                       // from this node on, the last position alone is needed for the logits
};

}  // namespace pippin

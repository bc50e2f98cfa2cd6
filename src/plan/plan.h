// A Plan says all that a conversion will do, before a weight is read. It is a value: printed, compared, never changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "quantize/mode.h"
#include "recipe/recipe.h"

namespace pippin {

// A tensor of the output: where its bytes go.
struct OutputTensor {
  std::string name;
  DType dtype;
  Shape shape;
  uint32_t shard;   // index into Plan::shards
  uint64_t offset;  // from the shard file's begin
  uint64_t size;    // bytes
};

// One piece of work: a value from a recipe, written as it is or quantized.
struct Job {
  RecipePtr value;
  std::optional<QuantFormat> quantize;
  std::vector<uint32_t> outputs;  // into Plan::outputs: the value; or weight, scales and, in affine mode, biases
  std::string rule;               // which rules made it, for reports: "stack + quantize 4 bits, group 64"
};

// An output file.
struct Shard {
  std::string file;    // "model-00001-of-00002.safetensors"
  std::string header;  // the first bytes of the file: length and JSON, padded to a multiple of 8
  uint64_t size;       // of the whole file
};

struct Plan {
  std::vector<OutputTensor> outputs;  // in the order of the model's module tree
  std::vector<Job> jobs;              // in the order of their first output's place in the shards
  std::vector<Shard> shards;
  Rounding rounding = Rounding::metal;
  uint64_t memory_budget = 256u << 20;  // bytes that the executor may use for blocks
  bool allow_nonfinite = false;
  bool packed_undeclared =
      false;  // layers stay packed though config.json says nothing, as -d leaves some with the reference

  nlohmann::ordered_json config;          // config.json to write, keys sorted
  nlohmann::ordered_json index_metadata;  // "metadata" of model.safetensors.index.json

  std::string model_type;     // the spec's
  std::string target;         // "mlx-lm" or "mlx-vlm"
  std::string spec;           // which spec file
  uint64_t source_bytes = 0;  // that will be read
  uint64_t output_bytes = 0;  // of all tensors
  uint64_t total_parameters = 0;
  std::vector<std::string> dropped;  // source tensors that go nowhere
  // Source tensors left out and the embeddings that stand for them, as indices into Checkpoint::tensors(): output heads
  // that the config says are tied. Same dtype and shape; the bytes have not been looked at.
  std::vector<std::pair<uint32_t, uint32_t>> assumed_ties;
  std::vector<std::string> warnings;  // for the user
};

// Digest of everything that decides the output's bytes; equal plans give equal outputs. 16 hex digits.
std::string digest_of(const Plan& plan, const std::vector<std::string>& source_identity);

}  // namespace pippin

// Converts a checkpoint to MLX: the same tensors that mlx_lm.convert or mlx_vlm.convert would write.
//
// Threads: convert() may be called from several threads with different destinations. It starts its own worker threads
// and joins them. It prints nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pippin/error.h"

namespace pippin {

struct ConvertOptions {
  std::filesystem::path source;  // a folder with config.json and safetensors
  std::filesystem::path destination = "mlx_model";
  std::string target = "auto";  // "mlx-lm", "mlx-vlm" or "auto": chosen by config.json

  bool quantize = false;
  bool dequantize = false;
  bool requantize = false;  // also layers that the source has quantized already
  std::optional<int> q_bits;
  std::optional<int> q_group_size;
  std::string q_mode = "affine";              // affine, mxfp4, nvfp4, mxfp8
  std::string quant_predicate;                // a built-in recipe's name or a recipe file; empty: none
  std::string dtype;                          // float16, bfloat16, float32; empty: as config.json says
  std::vector<std::string> quantize_modules;  // "PATTERN=bits[,group[,mode]]", the first that matches holds
  std::vector<std::string> keep;              // patterns of modules that stay unquantized; before quantize_modules
  bool quantize_vision = false;               // mlx-vlm leaves vision and audio parts unquantized
  bool quantize_audio = false;

  std::string rounding = "metal";           // whose arithmetic: "metal" or "cpu"
  bool allow_nonfinite = false;             // NaN and infinity are an error otherwise
  std::vector<std::filesystem::path> arch;  // spec files or folders that go before the built-in ones
  std::string arch_name;                    // use this spec ("llama") whatever config.json says

  uint64_t memory = uint64_t{256} << 20;  // bytes for blocks of tensors
  int threads = 0;                        // 0: one a processor
  bool overwrite = false;
  bool resume = false;
  bool flush = true;                         // wait for the disk before the output takes its place
  uint64_t shard_limit = uint64_t{5} << 30;  // bytes of tensors in a file

  std::string source_name;           // for the model card: the repo id, if there is one
  std::string output_name;           // for the model card: what the output is loaded by; empty: the folder's name
  std::vector<std::string> command;  // for the model card: the arguments, with the program first
};

// A tensor of the output and where it comes from.
struct PlannedTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t bytes;
  std::string file;
  std::string rule;    // "affine 4 bits, group 64", or how it is made: "stack of 8 tensors"; empty: copied
  std::string source;  // the recipe as text
};

struct ConvertReport {
  std::string target;         // chosen
  std::string target_reason;  // why, where it was "auto"
  std::string model_type;
  std::string spec;
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> dropped;  // source tensors that go nowhere
  std::vector<std::string> files;    // weight files
  std::vector<std::string> warnings;
  uint64_t source_bytes = 0;  // read from the source
  uint64_t output_bytes = 0;  // of all tensors
  uint64_t parameters = 0;
  double bits_per_weight = 0;
  uint64_t memory = 0;            // predicted peak, bytes
  uint64_t nonfinite_values = 0;  // let through by allow_nonfinite
  uint64_t jobs_resumed = 0;
  uint64_t bytes_fetched = 0;  // of weights, over the network, in this run
  double seconds = 0;          // of the execution
  std::filesystem::path destination;
};

struct ConvertHooks {
  const std::atomic<bool>* cancelled = nullptr;  // true ends the run (tag interrupted); resumable
  // Called from one thread at a time, a few times a second: bytes done of the bytes in all.
  std::function<void(uint64_t done, uint64_t total)> progress;
  // Called when the plan stands, before a weight is read.
  std::function<void(const ConvertReport& plan)> planned;
};

// Plans only: what convert() would write, from the headers and config.json alone. Touches no disk but to read them.
Result<ConvertReport> plan_conversion(const ConvertOptions& options);

// Plans, writes into a hidden folder beside the destination, checks what was written, and moves it in place.
// After an error the destination is as it was before.
Result<ConvertReport> convert(const ConvertOptions& options, const ConvertHooks& hooks = {});

}  // namespace pippin

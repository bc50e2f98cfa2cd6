// What pippin can convert, told from the specs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pippin/error.h"

namespace pippin {

struct ArchitectureInfo {
  std::string name;                      // "mlx_lm/llama"
  std::string target;                    // "mlx-lm" or "mlx-vlm"
  std::vector<std::string> model_types;  // of config.json
  std::string title;
  std::string notes;
  std::string refuse;  // why it cannot be converted; empty where it can
  std::vector<std::string>
      sources;  // source layouts and precisions beyond plain tensors: "experts one by one", "fp8 blocks"
  // What -q does otherwise than by the flags: "8 bits, group 64: **mlp.gate", "unquantized: lm_head", "never cast:
  // ...".
  std::vector<std::string> quantization;
  std::vector<std::string> architectures;  // if given: only where config.json's "architectures" has one of these
  bool runs = false;                       // the spec says how it runs, so that `pippin generate` can
};

// All specs, sorted by name; `arch` adds files or folders as ConvertOptions::arch does.
Result<std::vector<ArchitectureInfo>> architectures(const std::vector<std::filesystem::path>& arch = {});

// One spec with all that it extends merged in, as JSON text.
Result<std::string> architecture_document(const std::string& name, const std::vector<std::filesystem::path>& arch = {});

}  // namespace pippin

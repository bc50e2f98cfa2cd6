// model.safetensors.index.json: which tensor lies in which file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"

namespace pippin {

inline constexpr const char* weight_index_file = "model.safetensors.index.json";

struct WeightIndex {
  struct Row {
    std::string tensor;
    uint32_t file;  // into files
  };
  std::vector<std::string> files;  // relative to the folder, each once, sorted
  std::vector<Row> rows;           // sorted by tensor, each tensor once
};

// Reads an index of at most 256 MiB. Every file name stays inside the folder: no absolute path, no "..", no backslash.
Result<WeightIndex> read_weight_index(const std::filesystem::path& path);

// The same from text. where: for messages.
Result<WeightIndex> parse_weight_index(std::string_view text, std::string_view where);

}  // namespace pippin

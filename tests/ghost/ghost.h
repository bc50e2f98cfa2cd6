// Writes the checkpoint that a conformance case describes. Values come from a formula on the tensor's name and the
// element's index, so that a case of a few kilobytes stands for a whole model:
//   z = splitmix64 output number i of the seed FNV-1a-64(name);  F32: ((z >> 40) - 2^23) / 2^26;  F16, BF16: the same,
//   rounded to nearest even;  F8: the byte z >> 56, bit 2 cleared where it would be NaN or infinity;  and so on.
// For tests: what goes wrong is thrown as std::runtime_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace pippin {

using GhostShape = std::vector<int64_t>;

// The bytes of a tensor by its safetensors dtype name. fill: null for the formula, or {"fill": "range", "div", "mod"}
// or {"fill": "const", "value"}.
std::vector<std::byte> tensor_bytes(std::string_view name, std::string_view dtype, const GhostShape& shape,
                                    const nlohmann::ordered_json& fill = nullptr);

// Writes config.json, the weight files, an index where there are several, and the case's extra files into `folder`,
// which is made. Tensors are written in pieces, never held as a whole.
void write_ghost(const nlohmann::ordered_json& case_json, const std::filesystem::path& folder);

// Reads a case file.
nlohmann::ordered_json read_case(const std::filesystem::path& path);

struct SparseTensor {
  std::string name;
  std::string dtype;
  GhostShape shape;
};

// Writes a checkpoint whose files have headers and, for data, holes: all values are zero and take no disk. A file is
// ended before it would exceed shard_bytes.
void write_sparse(const nlohmann::ordered_json& config, std::span<const SparseTensor> tensors,
                  const std::filesystem::path& folder, uint64_t shard_bytes = 5'000'000'000);

// 64 hex digits.
std::string sha256(std::span<const std::byte> bytes);
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace pippin

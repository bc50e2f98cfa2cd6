// A checkpoint on disk: its files, its tensors and its config.json. Reads headers only.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/dtype.h"
#include "pippin/error.h"
#include "source/byte_source.h"
#include "tensor/shape.h"

namespace pippin {

// Where one tensor's bytes lie. size == element count * size_of(dtype) has been checked.
struct TensorInfo {
  std::string name;
  DType dtype;
  Shape shape;
  uint32_t file;    // index into Checkpoint::files()
  uint64_t offset;  // from the file's begin
  uint64_t size;    // bytes
};

// Which weight files of a folder count where there is no index. Where there is one, its files count and no others.
// Adapters (adapter*, model_adapter*) never do.
enum class FileSelection {
  mlx_lm,   // model*.safetensors, or else the one file that there is; consolidated* not even where an index names it
  mlx_vlm,  // *.safetensors but *consolidated.safetensors
};

class Checkpoint {
 public:
  // Opens a folder: config.json (and generation_config.json if there), the index or the single file, all headers.
  // Every defect of the files is an error here, before any tensor is read.
  // open_source: gives the weight files, where they are not simply files of the folder.
  static Result<Checkpoint> open(const std::filesystem::path& folder, FileSelection selection,
                                 const OpenSource& open_source = open_file);
  // config.json alone, to choose by before the weight files are opened.
  static Result<nlohmann::ordered_json> read_config(const std::filesystem::path& folder);

  // All tensors, sorted by name.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;

  // config.json as it stands, key order kept. Tagged or literal infinities are still tagged: {"__float__": "Infinity"}.
  [[nodiscard]] const nlohmann::ordered_json& config() const { return config_; }
  // generation_config.json, or null where it is missing or no JSON.
  [[nodiscard]] const nlohmann::ordered_json& generation_config() const { return generation_config_; }
  // hf_quant_config.json (NVIDIA ModelOpt), or null.
  [[nodiscard]] const nlohmann::ordered_json& hf_quant_config() const { return hf_quant_config_; }

  // Another JSON object inside the folder, such as a part of config.json that stands in a file of its own. Errors:
  // not_found, bad_config.
  [[nodiscard]] Result<nlohmann::ordered_json> read_part(const std::string& path) const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const std::vector<std::unique_ptr<ByteSource>>& files() const { return files_; }
  // "__metadata__" of each file, in the order of files(): string to string.
  [[nodiscard]] const std::vector<nlohmann::ordered_json>& metadata() const { return metadata_; }
  // Oddities that are no errors: stale files left out, an index that names too much, identical duplicates.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  // Reads from these from now on, which have the same bytes as files(), in the same order.
  void take_sources(std::vector<std::unique_ptr<ByteSource>> sources) { files_ = std::move(sources); }

  // Reads bytes [begin, begin + out.size()) of the tensor. Any number of threads.
  [[nodiscard]] Status read(const TensorInfo& tensor, uint64_t begin, std::span<std::byte> out) const;

 private:
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<ByteSource>> files_;
  std::vector<TensorInfo> tensors_;
  std::vector<nlohmann::ordered_json> metadata_;
  nlohmann::ordered_json config_;
  nlohmann::ordered_json generation_config_;
  nlohmann::ordered_json hf_quant_config_;
  std::vector<std::string> warnings_;
};

}  // namespace pippin

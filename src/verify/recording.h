// What a model gave for some prompts: token ids, logits, the output of each layer, by names as BehaviourOptions::
// reference has them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "source/byte_source.h"
#include "source/safetensors.h"

namespace pippin {

std::string ids_name(size_t prompt);
std::string logits_name(size_t prompt);
std::string layer_name(size_t prompt, int layer);

class Recording {
 public:
  // Checks names, dtypes and shapes. Errors (bad_file): what does not belong together. Tensors of other names are
  // passed over.
  static Result<Recording> open(const std::filesystem::path& file);
  // entries: their bytes lie in `bytes`.
  static Result<Recording> make(std::vector<SafetensorsEntry> entries, std::unique_ptr<ByteSource> bytes);

  [[nodiscard]] const std::vector<std::vector<int32_t>>& prompts() const { return prompts_; }
  // [tokens, ...]; null where it was not recorded.
  [[nodiscard]] const SafetensorsEntry* logits(size_t prompt) const;
  [[nodiscard]] const SafetensorsEntry* layer(size_t prompt, int layer) const;
  [[nodiscard]] bool has_logits() const;
  [[nodiscard]] const std::string& dtype() const { return dtype_; }  // of its metadata, or empty
  [[nodiscard]] const std::string& name() const { return bytes_->name(); }

  // Elements [begin, begin + out.size()) as F32.
  Status read(const SafetensorsEntry& entry, uint64_t begin, std::span<float> out) const;

 private:
  Status take_ids(const SafetensorsEntry& entry);
  Status check_shapes() const;
  [[nodiscard]] const SafetensorsEntry* find(const std::string& name) const;

  std::map<std::string, SafetensorsEntry> entries_;
  std::vector<std::vector<int32_t>> prompts_;
  std::unique_ptr<ByteSource> bytes_;
  std::string dtype_;
};

// Writes one into a temporary file that has no name, so that it goes with the process whatever happens.
class RecordingWriter {
 public:
  static Result<RecordingWriter> make();
  RecordingWriter(RecordingWriter&&) noexcept;
  RecordingWriter& operator=(RecordingWriter&&) noexcept;
  ~RecordingWriter();

  Status add_ids(size_t prompt, std::span<const int32_t> ids);
  // Values of whole rows, [rows, width]; further rows of the same name follow at once.
  Status add(const std::string& name, std::span<const float> values, int64_t width);
  Result<Recording> finish() &&;

 private:
  class File;
  explicit RecordingWriter(std::unique_ptr<File> file);
  Status append(const std::string& name, DType dtype, const void* data, size_t size, Shape shape);

  std::unique_ptr<File> file_;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace pippin

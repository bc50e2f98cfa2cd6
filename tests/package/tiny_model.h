// A model of one tensor for tests of folders.
#pragma once

#include <filesystem>
#include <string>

#include "package/temporary_folder.h"
#include "source/safetensors_writer.h"

namespace pippin {

// A safetensors file of 4 bytes of data.
inline std::string tiny_weights(const char* format) {
  const SafetensorsTensor tensor{"w", DType::U8, {4}};
  return safetensors_header({&tensor, 1}, {{"format", format}}) + "data";
}

// An MLX model whose config.json tells which one it is.
inline void write_tiny_model(const TemporaryFolder& root, const std::filesystem::path& folder,
                             const std::string& which) {
  root.write(folder / "config.json", which);
  root.write(folder / "model.safetensors", tiny_weights("mlx"));
  root.write(folder / "model.safetensors.index.json", "{}");
  root.write(folder / "README.md", which);
  root.write(folder / "tokenizer.json", which);
}

}  // namespace pippin

// The bundled example, loaded once a test program, and changed copies of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "pippin/generate.h"

namespace pippin {

inline std::filesystem::path example_folder() {
  return std::filesystem::path(PIPPIN_SOURCE_DIR) / "examples" / "kjv-tiny";
}

inline const Model& example_model() {
  static const auto model = load(example_folder());
  if (!model) throw std::runtime_error(model.error().message());
  return *model;
}

// The text as it is, without the chat template.
inline Prompt plain(const std::string& text) {
  Prompt prompt;
  prompt.text = text;
  prompt.use_template = false;
  return prompt;
}

inline GenerateOptions up_to(int tokens) {
  GenerateOptions options;
  options.max_tokens = tokens;
  return options;
}

// A copy of the example for one test, removed with it.
class ExampleCopy {
 public:
  ExampleCopy() {
    std::string name = testing::TempDir() + "generate-XXXXXX";
    path_ = mkdtemp(name.data());
    std::filesystem::copy(example_folder(), path_);
  }
  ~ExampleCopy() { std::filesystem::remove_all(path_); }
  ExampleCopy(const ExampleCopy&) = delete;
  ExampleCopy& operator=(const ExampleCopy&) = delete;

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace pippin

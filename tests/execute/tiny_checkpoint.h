// A checkpoint of a few tensors for a test.
#pragma once

#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "ghost/temporary_folder.h"
#include "recipe/recipe.h"
#include "source/checkpoint.h"
#include "source/safetensors_writer.h"
#include "tensor/cast.h"

namespace pippin {

using Bytes = std::vector<std::byte>;

// The bytes of values of any C++ type.
template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Numbers as elements of the dtype.
inline Bytes numbers(DType dtype, const std::vector<double>& values) {
  Bytes bytes(values.size() * size_of(dtype));
  cast(DType::F64, values.data(), dtype, bytes.data(), static_cast<int64_t>(values.size()));
  return bytes;
}

// 0, 1, 2 ... as elements of the dtype.
inline Bytes counting(DType dtype, int64_t count) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; i++) values.push_back(static_cast<double>(i));
  return numbers(dtype, values);
}

struct TinyTensor {
  std::string name;
  DType dtype;
  Shape shape;
  Bytes bytes;
};

// The tensors in model.safetensors. Their names must be in alphabetical order, so that the checkpoint numbers them
// alike.
class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(const std::vector<TinyTensor>& tensors) {
    std::vector<SafetensorsTensor> rows;
    std::string data;
    for (const auto& tensor : tensors) {
      rows.push_back({tensor.name, tensor.dtype, tensor.shape});
      data.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    }
    folder_.write("config.json", "{}");
    folder_.write("model.safetensors", safetensors_header(rows, {}) + data);
    auto opened = Checkpoint::open(folder_.path(), FileSelection::mlx_lm);
    if (!opened) throw std::runtime_error(opened.error().message());
    checkpoint_ = std::move(*opened);
  }

  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "model.safetensors"; }
  // A leaf of a recipe.
  [[nodiscard]] RecipePtr tensor(uint32_t number) const {
    const TensorInfo& info = checkpoint_.tensors()[number];
    return from_source(number, info.dtype, info.shape);
  }

 private:
  TemporaryFolder folder_;
  Checkpoint checkpoint_;
};

}  // namespace pippin

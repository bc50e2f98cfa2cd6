#include "runtime/host_operation.h"

#include <cstring>
#include <optional>
#include <utility>

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/primitives.h>
#include <mlx/stream.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

HostBuffer buffer_of(const mx::array& array) {
  return {reinterpret_cast<std::byte*>(const_cast<char*>(array.data<char>())), array.shape(), array.strides(),
          array.dtype(), array.flags().row_contiguous};
}

// Rows of the last axis, one after the other.
void copy_dense(const HostBuffer& from, std::byte* to) {
  const size_t rank = from.shape.size();
  const size_t item = mx::size_of(from.dtype);
  const int64_t columns = rank == 0 ? 1 : from.shape.back();
  const int64_t step = rank == 0 ? 1 : from.strides.back();
  int64_t rows = 1;
  for (size_t axis = 0; axis + 1 < rank; ++axis) rows *= from.shape[axis];
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row;
    int64_t offset = 0;
    for (size_t axis = rank < 1 ? 0 : rank - 1; axis-- > 0;) {
      offset += rest % from.shape[axis] * from.strides[axis];
      rest /= from.shape[axis];
    }
    const std::byte* source = from.data + offset * static_cast<int64_t>(item);
    if (step == 1) {
      std::memcpy(to, source, static_cast<size_t>(columns) * item);
    } else {
      for (int64_t k = 0; k < columns; ++k)
        std::memcpy(to + static_cast<size_t>(k) * item, source + k * step * static_cast<int64_t>(item), item);
    }
    to += static_cast<size_t>(columns) * item;
  }
}

class HostPrimitive : public mx::Primitive {
 public:
  HostPrimitive(mx::Stream stream, const char* name, HostKernel kernel, bool dense)
      : mx::Primitive(stream), name_(name), kernel_(std::make_shared<HostKernel>(std::move(kernel))), dense_(dense) {}

  const char* name() const override { return name_; }

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    std::vector<mx::array> in;
    std::vector<mx::array> out;
    for (const auto& array : inputs) {
      encoder.set_input_array(array);
      in.push_back(mx::array::unsafe_weak_copy(array));
    }
    for (auto& array : outputs) {
      array.set_data(mx::allocator::malloc(array.nbytes()));
      encoder.set_output_array(array);
      out.push_back(mx::array::unsafe_weak_copy(array));
    }
    encoder.dispatch([kernel = kernel_, dense = dense_, in = std::move(in), out = std::move(out)]() mutable {
      run(*kernel, dense, in, out);
    });
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, std::vector<mx::array>& /*outputs*/) override {
    throw std::runtime_error("pippin's kernels run on the CPU only");
  }

 private:
  static void run(const HostKernel& kernel, bool dense, const std::vector<mx::array>& in,
                  const std::vector<mx::array>& out) {
    std::vector<HostBuffer> inputs;
    std::vector<HostBuffer> outputs;
    std::vector<std::unique_ptr<std::byte[]>> copies;
    for (const auto& array : in) {
      HostBuffer buffer = buffer_of(array);
      const bool rows = !dense && (buffer.shape.empty() || buffer.shape.back() == 1 || buffer.strides.back() == 1);
      if (!buffer.row_contiguous && !rows) {
        copies.emplace_back(new std::byte[array.nbytes()]);
        copy_dense(buffer, copies.back().get());
        buffer.data = copies.back().get();
        buffer.row_contiguous = true;
        int64_t stride = 1;
        for (size_t axis = buffer.shape.size(); axis-- > 0; stride *= buffer.shape[axis]) buffer.strides[axis] = stride;
      }
      inputs.push_back(std::move(buffer));
    }
    outputs.reserve(out.size());
    for (const auto& array : out) outputs.push_back(buffer_of(array));
    kernel(inputs, outputs);
  }

  const char* name_;
  std::shared_ptr<HostKernel> kernel_;
  bool dense_;
};

}  // namespace

std::vector<mx::array> host_operation(const char* name, const std::vector<mx::array>& inputs,
                                      std::vector<mx::Shape> shapes, const std::vector<mx::Dtype>& dtypes,
                                      HostKernel kernel, bool dense) {
  auto primitive = std::make_shared<HostPrimitive>(mx::default_stream(mx::Device::cpu), name, std::move(kernel), dense);
  return mx::array::make_arrays(std::move(shapes), dtypes, primitive, inputs);
}

mx::array host_operation(const char* name, const std::vector<mx::array>& inputs, mx::Shape shape, mx::Dtype dtype,
                         HostKernel kernel, bool dense) {
  auto primitive = std::make_shared<HostPrimitive>(mx::default_stream(mx::Device::cpu), name, std::move(kernel), dense);
  return mx::array(std::move(shape), dtype, std::move(primitive), inputs);
}

}  // namespace pippin

// Pippin's own kernels as MLX operations, on the CPU.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <mlx/array.h>

namespace pippin {

// Memory of an array when the operation runs. Strides in elements; data and strides are the kernel's to respect.
struct HostBuffer {
  std::byte* data = nullptr;
  mlx::core::Shape shape;
  mlx::core::Strides strides;
  mlx::core::Dtype dtype = mlx::core::float32;
  bool row_contiguous = false;
};

// Fills the outputs, which are row-contiguous, from the inputs. Runs on MLX's CPU thread; must not throw.
using HostKernel = std::function<void(std::span<const HostBuffer> inputs, std::span<const HostBuffer> outputs)>;

// One operation of MLX's graph that runs the kernel. Inputs are copied first where they are not row-contiguous, or, if
// not `dense`, where only their last axis is not contiguous.
std::vector<mlx::core::array> host_operation(const char* name, const std::vector<mlx::core::array>& inputs,
                                             std::vector<mlx::core::Shape> shapes,
                                             const std::vector<mlx::core::Dtype>& dtypes, HostKernel kernel,
                                             bool dense = true);

// The same with one output.
mlx::core::array host_operation(const char* name, const std::vector<mlx::core::array>& inputs, mlx::core::Shape shape,
                                mlx::core::Dtype dtype, HostKernel kernel, bool dense = true);

}  // namespace pippin

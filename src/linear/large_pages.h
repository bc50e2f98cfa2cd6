// Memory in large pages, for weights: they are read from end to end for every token, and with pages of 4 KB the
// processor loses more time at the page borders than the bytes themselves take.
//
// Large pages are a wish: where the system has none (Linux has them by default), the memory works the same, slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pippin/error.h"

namespace pippin {

// Zeroed memory of its own. To fill it is when it takes place; large pages cost nothing then.
class LargePageMemory {
 public:
  // An error (io) where the system has not so much memory. bytes must be positive.
  static Result<LargePageMemory> of(size_t bytes);

  LargePageMemory(LargePageMemory&& other) noexcept;
  LargePageMemory& operator=(LargePageMemory&& other) noexcept;
  ~LargePageMemory();

  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  LargePageMemory(std::byte* data, size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Moves memory that is filled already into large pages, where it lies: what points there stays right. Ranges less than
// a large page apart count as one. It takes as long as copying them. Returns the bytes that are in large pages now.
int64_t move_to_large_pages(std::vector<std::span<const std::byte>> ranges);

}  // namespace pippin

// Buffers of one thread that keep their memory between uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pippin {

// Memory from the system that goes back to it at once when freed, so that the peak stays where it was planned.
class Pages {
 public:
  Pages() = default;
  explicit Pages(size_t bytes);  // throws std::bad_alloc
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A stack of buffers: a buffer is taken while those below it are in use, and given back before them. Not for sharing
// between threads.
class Scratch {
 public:
  // A buffer in use. Aligned to a page; its content is undefined.
  class Lease {
   public:
    Lease(Scratch& owner, std::byte* data) : owner_(owner), data_(data) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { owner_.depth_--; }
    [[nodiscard]] std::byte* data() const { return data_; }

   private:
    Scratch& owner_;
    std::byte* data_;
  };

  Lease take(size_t bytes);

  // Frees all if more than `bytes` are kept. Only while nothing is taken.
  void trim(size_t bytes);

 private:
  std::vector<Pages> slots_;
  size_t depth_ = 0;
};

}  // namespace pippin

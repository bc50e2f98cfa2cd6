#include "execute/scratch.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace pippin {

Pages::Pages(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
#if defined(MADV_HUGEPAGE)
  // A transpose writes to thousands of small pages in turn.
  if (bytes >= size_t{4} << 20) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Pages::~Pages() {
  if (data_) ::munmap(data_, size_);
}

Scratch::Lease Scratch::take(size_t bytes) {
  if (depth_ == slots_.size()) slots_.emplace_back();
  Pages& slot = slots_[depth_];
  if (slot.size() < bytes) {
    slot = Pages();  // first frees the old, so that both are never held
    slot = Pages(bytes);
  }
  depth_++;
  return Lease(*this, slot.data());
}

void Scratch::trim(size_t bytes) {
  size_t kept = 0;
  for (const Pages& slot : slots_) kept += slot.size();
  if (kept > bytes) slots_.clear();
}

}  // namespace pippin

#include "linear/large_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr uintptr_t large_page = uintptr_t{2} << 20;

#ifdef __linux__
// Linux's number for it, from 6.1 on; not every C library names it.
constexpr int collapse_advice = 25;

bool move_page(uintptr_t address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the page may lie between two ranges
  return madvise(reinterpret_cast<void*>(address), large_page, collapse_advice) == 0;
}
#else
bool move_page(uintptr_t) {
  return false;
}
#endif

void wish_for_large_pages(void* data, size_t size) {
#ifdef __linux__
  madvise(data, size, MADV_HUGEPAGE);
#else
  static_cast<void>(data);
  static_cast<void>(size);
#endif
}

}  // namespace

Result<LargePageMemory> LargePageMemory::of(size_t bytes) {
  // With room to begin at a large page's border; what is too much is given back.
  const size_t size = (bytes + large_page - 1) / large_page * large_page;
  void* mapped = size < bytes
                     ? MAP_FAILED
                     : mmap(nullptr, size + large_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return fail(ErrorTag::io, "the system has memory for the weights",
                fmt::format("{} bytes: {}", bytes, std::strerror(errno)),
                "close other programs, or take a smaller model");
  }
  const size_t before = large_page - reinterpret_cast<uintptr_t>(mapped) % large_page;
  std::byte* aligned = static_cast<std::byte*>(mapped) + before;
  munmap(mapped, before);
  if (before < large_page) munmap(aligned + size, large_page - before);
  wish_for_large_pages(aligned, size);
  return LargePageMemory(aligned, bytes);
}

LargePageMemory::LargePageMemory(LargePageMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

LargePageMemory& LargePageMemory::operator=(LargePageMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

LargePageMemory::~LargePageMemory() {
  if (data_ != nullptr) munmap(data_, (size_ + large_page - 1) / large_page * large_page);
}

int64_t move_to_large_pages(std::vector<std::span<const std::byte>> ranges) {
  const auto begin_of = [](std::span<const std::byte> range) { return reinterpret_cast<uintptr_t>(range.data()); };
  std::ranges::sort(ranges, {}, begin_of);
  int64_t moved = 0;
  uintptr_t done = 0;    // pages below this have been tried
  uintptr_t joined = 0;  // where the ranges so far, taken as one, began
  uintptr_t end = 0;
  for (const auto& range : ranges) {
    if (begin_of(range) >= end + large_page) joined = begin_of(range);
    end = std::max(end, begin_of(range) + range.size());
    uintptr_t page = std::max(done, (joined + large_page - 1) / large_page * large_page);
    for (; page + large_page <= end; page += large_page) moved += move_page(page) ? int64_t{large_page} : 0;
    done = page;
  }
  return moved;
}

}  // namespace pippin

#include "hub/supplied_file.h"

#include <fmt/format.h>

namespace pippin {

SuppliedFile::SuppliedFile(FileSupplier& supplier, size_t number, const RepoFile& file)
    : supplier_(supplier), number_(number), size_(file.size), name_(file.name), identity_(identity_of(file)) {}

Status SuppliedFile::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    return fail(ErrorTag::io, "a read lies inside its file",
                fmt::format("{}: {} bytes from {} of {}", name_, out.size(), offset, size_));
  }
  return out.empty() ? Status() : supplier_.read(number_, offset, out);
}

void SuppliedFile::announce_use(uint64_t offset, uint64_t size) const {
  supplier_.change_uses(number_, offset, size, 1);
}

void SuppliedFile::end_use(uint64_t offset, uint64_t size) const {
  supplier_.change_uses(number_, offset, size, -1);
}

}  // namespace pippin

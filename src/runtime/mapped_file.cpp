#include "runtime/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace pippin {

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::filesystem::path& path, uint64_t size) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(ErrorTag::io, "a weight file can be opened", path.string(), "check its rights");
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
  ::close(descriptor);
  if (data == MAP_FAILED)
    return fail(ErrorTag::io, "a weight file can be mapped into memory", path.string(), "close other programs");
  return std::shared_ptr<MappedFile>(new MappedFile(data, size));
}

MappedFile::~MappedFile() {
  ::munmap(data_, size_);
}

void* MappedFile::at(uint64_t offset) const {
  return static_cast<std::byte*>(data_) + offset;
}

}  // namespace pippin

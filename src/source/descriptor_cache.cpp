#include "source/descriptor_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace pippin {
namespace {

int open_read_only(const std::string& path) {
  int number = -1;
  do {
    number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (number < 0 && errno == EINTR);
  return number;
}

}  // namespace

Descriptor::~Descriptor() {
  ::close(number_);
}

DescriptorCache& DescriptorCache::of_process() {
  // Never destroyed, so that a ByteSource in static storage may outlive main().
  static auto* cache = new DescriptorCache;
  return *cache;
}

void DescriptorCache::shrink_locked(size_t count) {
  while (entries_.size() > count) {
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void DescriptorCache::drop(uint64_t key) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end()) return;
  entries_.erase(found->second);
  places_.erase(found);
}

uint64_t DescriptorCache::new_key() {
  const std::lock_guard lock(mutex_);
  return next_key_++;
}

size_t DescriptorCache::size() {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

Result<std::shared_ptr<const Descriptor>> DescriptorCache::get(uint64_t key, const std::string& path,
                                                               const FileIdentity& expected) {
  const std::lock_guard lock(mutex_);
  if (const auto place = places_.find(key); place != places_.end()) {
    entries_.splice(entries_.begin(), entries_, place->second);
    return place->second->descriptor;
  }
  shrink_locked(capacity - 1);

  int number = open_read_only(path);
  if (number < 0 && (errno == EMFILE || errno == ENFILE)) {
    shrink_locked(0);
    number = open_read_only(path);
  }
  if (number < 0) {
    return fail(errno == ENOENT ? ErrorTag::not_found : ErrorTag::io, "the file can be opened for reading",
                fmt::format("{}: {}", path, std::generic_category().message(errno)),
                "check that the file is still there, and its rights");
  }
  auto descriptor = std::make_shared<const Descriptor>(number);

  struct stat status {};
  if (::fstat(number, &status) != 0) {
    return fail(ErrorTag::io, "the file can be examined",
                fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  const FileIdentity found{static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino),
                           static_cast<uint64_t>(status.st_size)};
  if (found != expected) {
    return fail(ErrorTag::bad_file, "a file does not change while it is read",
                fmt::format("{} had {} bytes and is now another file of {} bytes", path, expected.size, found.size),
                "wait until the download is complete, then start again");
  }
  entries_.push_front({key, descriptor});
  places_[key] = entries_.begin();
  return descriptor;
}

}  // namespace pippin

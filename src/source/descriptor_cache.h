// Open files of the process, bounded: what lies unused longest is closed, and opened again when it is wanted.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "pippin/error.h"

namespace pippin {

// A descriptor open for reading; closed with its last owner.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

// What tells one file from another that took its name.
struct FileIdentity {
  uint64_t device;
  uint64_t inode;
  uint64_t size;
  bool operator==(const FileIdentity&) const = default;
};

// All functions may be called from any number of threads. A descriptor in use stays open until its user lets go of it,
// so that for a moment more than `capacity` may be open.
class DescriptorCache {
 public:
  static constexpr size_t capacity = 64;

  static DescriptorCache& of_process();

  // The descriptor of `path`, opened read-only if it is not open yet. key: a number of the caller's own, from
  // new_key(). A file that is not `expected` any more is an error (bad_file).
  Result<std::shared_ptr<const Descriptor>> get(uint64_t key, const std::string& path, const FileIdentity& expected);
  // Forgets a key.
  void drop(uint64_t key);

  uint64_t new_key();
  // How many descriptors are kept open.
  size_t size();

 private:
  struct Entry {
    uint64_t key;
    std::shared_ptr<const Descriptor> descriptor;
  };

  // Lets go of the least recently used until at most `count` are kept.
  void shrink_locked(size_t count);

  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<uint64_t, std::list<Entry>::iterator> places_;
  uint64_t next_key_ = 0;
};

}  // namespace pippin

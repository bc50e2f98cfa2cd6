// The digest of a content whose bytes pass by in their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace pippin {

// Of the kind of an id: 64 digits sha256, 40 digits git's blob id of a content of `size` bytes.
class RunningDigest {
 public:
  RunningDigest(const std::string& like, uint64_t size);
  RunningDigest(RunningDigest&&) noexcept;
  RunningDigest& operator=(RunningDigest&&) noexcept;
  ~RunningDigest();

  void add(std::span<const std::byte> bytes);
  // In lower-case hexadecimal digits; nothing may be added after it. Empty where there is no such digest.
  [[nodiscard]] std::string finish();

  // What a later run needs to go on from here: of a sha256 after whole blocks of 64 bytes, else empty.
  [[nodiscard]] std::string state() const;
  // Goes on from a state after `position` bytes; false for what is none.
  [[nodiscard]] bool restore(uint64_t position, const std::string& state);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace pippin

#include "hub/running_digest.h"

// A state can be taken out of the old interface alone.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>
#include <charconv>

namespace pippin {
namespace {

constexpr uint64_t block = 64;
constexpr size_t word_digits = 8;

std::string hex_of(std::span<const unsigned char> bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

struct RunningDigest::Context {
  bool is_git = false;
  SHA256_CTX sha256{};
  SHA_CTX sha1{};
  uint64_t position = 0;
};

RunningDigest::RunningDigest(const std::string& like, uint64_t size) : context_(std::make_unique<Context>()) {
  context_->is_git = like.size() == 40;
  SHA256_Init(&context_->sha256);
  SHA1_Init(&context_->sha1);
  // git counts the closing zero byte in.
  const std::string head = fmt::format("blob {}", size);
  SHA1_Update(&context_->sha1, head.c_str(), head.size() + 1);
}

RunningDigest::RunningDigest(RunningDigest&&) noexcept = default;
RunningDigest& RunningDigest::operator=(RunningDigest&&) noexcept = default;
RunningDigest::~RunningDigest() = default;

void RunningDigest::add(std::span<const std::byte> bytes) {
  if (context_->is_git)
    SHA1_Update(&context_->sha1, bytes.data(), bytes.size());
  else
    SHA256_Update(&context_->sha256, bytes.data(), bytes.size());
  context_->position += bytes.size();
}

std::string RunningDigest::finish() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  if (context_->is_git) {
    SHA1_Final(digest.data(), &context_->sha1);
    return hex_of(std::span(digest).first(SHA_DIGEST_LENGTH));
  }
  SHA256_Final(digest.data(), &context_->sha256);
  return hex_of(digest);
}

std::string RunningDigest::state() const {
  if (context_->is_git || context_->position % block != 0) return {};
  std::string text;
  for (const auto word : context_->sha256.h) text += fmt::format("{:08x}", word);
  return text;
}

bool RunningDigest::restore(uint64_t position, const std::string& state) {
  if (context_->is_git || position % block != 0 || state.size() != std::size(context_->sha256.h) * word_digits)
    return false;
  SHA256_CTX restored{};
  SHA256_Init(&restored);
  for (size_t i = 0; i < std::size(restored.h); ++i) {
    const char* begin = state.data() + i * word_digits;
    const auto [end, error] = std::from_chars(begin, begin + word_digits, restored.h[i], 16);
    if (error != std::errc() || end != begin + word_digits) return false;
  }
  // The count of bits, in two words.
  restored.Nl = static_cast<SHA_LONG>(position << 3);
  restored.Nh = static_cast<SHA_LONG>(position >> 29);
  context_->sha256 = restored;
  context_->position = position;
  return true;
}

}  // namespace pippin

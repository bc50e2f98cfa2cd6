#include "hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

namespace pippin {
namespace {

constexpr size_t block_size = size_t{1} << 20;

tl::unexpected<Error> failure(std::string value) {
  return fail(ErrorTag::io, "a file can be read", std::move(value));
}

std::string hex_of(const unsigned char* bytes, unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

}  // namespace

Result<std::string> content_id_of(int file, uint64_t size, const std::string& like, const std::string& path,
                                  const std::function<bool()>& stopped) {
  const bool is_git = like.size() == 40;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), is_git ? EVP_sha1() : EVP_sha256(), nullptr) != 1) {
    return failure("the digest is not to be had from OpenSSL");
  }
  if (is_git) {
    // git counts the closing zero byte in.
    const std::string head = fmt::format("blob {}", size);
    EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1);
  }
  std::vector<char> block(static_cast<size_t>(std::min<uint64_t>(size, block_size)));
  for (uint64_t at = 0; at < size;) {
    if (stopped && stopped()) return fail(ErrorTag::interrupted, "", "interrupted");
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(size - at, block.size()));
    const ssize_t got = ::pread(file, block.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return failure(fmt::format("{}: {}", path,
                                 got == 0 ? "is shorter than it should be" : std::generic_category().message(errno)));
    }
    EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(got));
    at += static_cast<uint64_t>(got);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned count = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &count);
  return hex_of(digest.data(), count);
}

}  // namespace pippin

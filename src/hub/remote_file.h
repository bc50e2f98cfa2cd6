// The bytes of one file of a commit, by ranges, whatever the network does meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "hub/hub_session.h"
#include "hub/listing.h"

namespace pippin {

class RemoteFile {
 public:
  // Whether the server gives ranges: known with its first answer.
  enum class Ranges : uint8_t { unknown, given, ignored };
  // Takes bytes in their order; an error ends the read.
  using Take = std::function<Status(uint64_t offset, std::span<const std::byte> bytes)>;

  RemoteFile(HubSession& session, std::string repo, std::string commit, RepoFile file);

  // Hands over the bytes [begin, end), end > begin. Connections that break are taken up again where they broke, links
  // that have expired are asked for again, redirects are followed: with the token on the Hub, without it elsewhere.
  // Gives up after five failures in a row without a byte. Where the server ignores ranges, the bytes before `begin` are
  // fetched and dropped. Any number of threads.
  Status read(uint64_t begin, uint64_t end, const Take& take);

  [[nodiscard]] Ranges ranges() const;
  [[nodiscard]] const RepoFile& file() const { return file_; }

 private:
  struct Attempt;
  [[nodiscard]] std::string url() const;
  void set_link(const std::string& link);
  void drop_link(const std::string& link);  // where it is still the one in use
  void set_ranges(Ranges ranges);
  // One answer, redirects included. Moves `at` on. Nothing where all came; else whether and how to go on.
  Status attempt(Attempt& attempt);
  Status one_answer(Attempt& attempt, std::string& url, bool& redirected);
  Status accept(Attempt& attempt, const HttpAnswer& head, bool asked_for_range);

  HubSession& session_;
  std::string repo_;
  std::string commit_;
  RepoFile file_;
  std::string resolve_url_;
  mutable std::mutex mutex_;
  std::string link_;  // on the storage host, until it expires
  Ranges ranges_ = Ranges::unknown;
};

}  // namespace pippin

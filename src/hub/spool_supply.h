// Files that are read while they arrive, and of which no copy is kept.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hub/arrival_notes.h"
#include "hub/hub_session.h"
#include "hub/remote_file.h"
#include "hub/running_digest.h"
#include "hub/supplied_file.h"
#include "pippin/hub.h"
#include "source/byte_supply.h"

namespace pippin {

struct SpoolOptions {
  int connections = 8;
  uint64_t piece_size = uint64_t{8} << 20;
  uint64_t window = uint64_t{256} << 20;  // bytes on the disk at a time, where the readers need no more
  std::function<void(const DownloadProgress&)> progress = nullptr;
};

struct SpoolFile {
  RepoFile file;
  std::filesystem::path local = {};  // where it is already, whole and right; empty: it comes over the network
};

// Files in the order in which they are read. Their bytes arrive in pieces, from begin to end, each piece a file in the
// folder. A piece is removed when its digest is counted and all announced uses of it have ended; no more are fetched
// while the window is full, unless a reader waits for them. The digest runs along, in the order of the file; its state
// after each piece is noted, so that a later run fetches a file from the first piece that it still needs.
//
// A server that knows no ranges sends a file at its own pace: all of it may come to lie on the disk.
class SpoolSupply final : public ByteSupply, private FileSupplier {
 public:
  SpoolSupply(HubSession& session, const std::string& repo, const std::string& commit, std::vector<SpoolFile> files,
              SpoolOptions options);
  ~SpoolSupply() override;

  Result<std::vector<std::unique_ptr<ByteSource>>> begin(const std::filesystem::path& folder, bool resume) override;
  [[nodiscard]] uint64_t trusted_bytes(size_t file) const override;
  Result<std::vector<size_t>> confirm(bool all) override;
  void will_compare(const Range& range) override;
  Result<std::optional<bool>> are_same(const Range& a, const Range& b) override;
  Status end() override;

  // Bytes that came over the network.
  [[nodiscard]] uint64_t bytes_fetched() const;
  // The most bytes that lay on the disk at a time.
  [[nodiscard]] uint64_t most_spooled() const;

 private:
  struct Piece {
    uint64_t there = 0;  // bytes
    uint32_t uses = 0;
    bool is_given = false;    // to a worker
    bool is_counted = false;  // in the digest
  };
  struct File {
    RepoFile file;
    std::filesystem::path local;
    RemoteFile remote;
    std::vector<Piece> pieces;
    ArrivalNote note = {};
    size_t first_piece = 0;  // that is fetched; pieces.size(): none
    bool is_done = false;    // its digest is known, or nothing of it is fetched
    bool was_read = false;
    bool was_wrong = false;
    bool is_void = false;  // not noted any more: what was made of it may stand in the journal

    File(HubSession& session, const std::string& repo, const std::string& commit, SpoolFile of)
        : file(of.file), local(std::move(of.local)), remote(session, repo, commit, std::move(of.file)) {}
  };
  struct Task {
    size_t file;
    size_t begin, end;  // pieces
  };
  struct Compared {
    uint64_t next = 0;
    std::optional<RunningDigest> digest = std::nullopt;
    std::string result = {};
  };

  [[nodiscard]] std::filesystem::path path_of(size_t file, size_t piece) const;
  [[nodiscard]] uint64_t size_of(const File& file, size_t piece) const;

  void change_uses(size_t file, uint64_t offset, uint64_t size, int by) override;
  void release_locked(size_t file, size_t piece);
  [[nodiscard]] uint64_t leaving_locked() const;
  Status read(size_t file, uint64_t offset, std::span<std::byte> out) override;
  Status read_piece(size_t file, size_t piece, uint64_t offset, std::span<std::byte> out);

  void start();
  void place_locked(File& file, size_t number);  // decides where its fetching begins
  void stop();
  void fetch_pieces();  // a worker's loop
  std::optional<Task> next();
  Status fetch(const Task& task);
  void count_digests();  // the counting thread's loop
  Status count_file(size_t number);
  Status wait_for_count(const Piece& piece, uint64_t bytes);
  Status count_piece(size_t number, size_t piece, RunningDigest& digest);
  Status finish_file(size_t number, RunningDigest& digest);
  void compare_bytes(size_t file, uint64_t offset, std::span<const std::byte> bytes);
  void fail_with(Error error);
  void show_progress();
  Status wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done);

  HubSession& session_;
  SpoolOptions options_;
  std::filesystem::path folder_;
  ArrivalNotes notes_;
  std::map<Range, Compared> compared_;  // of the counting thread while it runs

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<File> files_;
  std::optional<Error> error_;
  bool is_running_ = false;
  bool is_ending_ = false;
  bool knows_ranges_ = false;            // whether the servers give them, one way or the other
  std::pair<size_t, size_t> wanted_{};   // the furthest piece that a reader waits for
  std::pair<size_t, size_t> counted_{};  // the first piece that is not in the digest yet
  size_t next_file_ = 0;
  uint64_t spooled_ = 0;
  uint64_t most_spooled_ = 0;
  uint64_t fetched_ = 0;
  uint64_t to_fetch_ = 0;
  std::chrono::steady_clock::time_point shown_{};
  std::vector<std::thread> threads_;
};

}  // namespace pippin

// Files that are read while a download puts them into the cache.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hub/arrival_notes.h"
#include "hub/fetch_queue.h"
#include "hub/hub_session.h"
#include "hub/supplied_file.h"
#include "hub/target_folder.h"
#include "source/byte_supply.h"

namespace pippin {

// Files in the order in which they are read. They arrive in partial files, from which they are read as soon as the
// bytes will not be fetched again, and take their place in the cache when their digest is right; one that is wrong is
// fetched anew, and confirm() names it. The download goes on while nobody reads. When this object goes before the
// download is done, it ends the session's requests; what has arrived is kept.
class CacheSupply final : public ByteSupply, private FetchObserver, private FileSupplier {
 public:
  // cache: outlives the object, as the session does.
  CacheSupply(HubSession& session, const CacheFolder& cache, std::string repo, std::string commit,
              std::vector<RepoFile> files, FetchOptions options);
  ~CacheSupply() override;

  Result<std::vector<std::unique_ptr<ByteSource>>> begin(const std::filesystem::path& folder, bool resume) override;
  [[nodiscard]] uint64_t trusted_bytes(size_t file) const override;
  Result<std::vector<size_t>> confirm(bool all) override;
  void will_compare(const Range& /*range*/) override {}
  Result<std::optional<bool>> are_same(const Range& a, const Range& b) override;
  Status end() override { return notes_.remove(); }

  // Bytes that came over the network.
  [[nodiscard]] uint64_t bytes_fetched() const;

 private:
  struct File {
    RepoFile file;
    std::filesystem::path path = {};   // where its bytes are now
    std::vector<uint64_t> there = {};  // of each piece
    uint64_t piece_size = 1;
    uint64_t generation = 0;  // of the partial
    uint64_t times_opened = 0;
    bool is_whole = false;
    bool is_trusted = false;  // what was read of it so far
    bool was_noted_whole = false;
    bool was_read = false;
    bool was_wrong = false;
    bool is_void = false;  // once wrong, it is not noted any more: its jobs may stand in the journal
    std::shared_ptr<const DiskFile> open = nullptr;
    uint64_t uses = 0;
  };

  Status opened(size_t file, const PartialFile& partial) override;
  void arrived(size_t file, size_t piece, uint64_t bytes) override;
  void wrong(size_t file) override;
  Status whole(size_t file) override;

  Status read(size_t file, uint64_t offset, std::span<std::byte> out) override;
  [[nodiscard]] bool is_there(const File& file, uint64_t begin, uint64_t end) const;
  void change_uses(size_t file, uint64_t offset, uint64_t size, int by) override;
  void start();  // the download, once
  void fetch_all();
  Status note_wrong(File& file, size_t number);
  [[nodiscard]] Result<DiskFile> open(const File& file) const;
  // Waits until `done` says so; an error where the download has ended with one.
  Status wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done);

  HubSession& session_;
  const CacheFolder& cache_;
  std::string repo_;
  std::string commit_;
  FetchOptions options_;
  CacheTarget target_;
  ArrivalNotes notes_;

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<File> files_;
  std::optional<Error> error_;
  bool has_begun_ = false;
  bool has_ended_ = false;
  uint64_t fetched_ = 0;
  std::thread thread_;
};

}  // namespace pippin

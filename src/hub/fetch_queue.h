// Fetches many files side by side, large ones in pieces side by side. What has arrived stays for the next run.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/listing.h"
#include "hub/partial_file.h"
#include "hub/target_folder.h"
#include "pippin/hub.h"

namespace pippin {

// Hears how the files arrive, by their place among those asked for. Called from the queue's threads.
class FetchObserver {
 public:
  FetchObserver() = default;
  FetchObserver(const FetchObserver&) = delete;
  FetchObserver& operator=(const FetchObserver&) = delete;
  virtual ~FetchObserver() = default;
  // The file is in the partial from now on, with what an earlier run left; once more after wrong().
  virtual Status opened(size_t file, const PartialFile& partial) = 0;
  // So many bytes of a piece can be read.
  virtual void arrived(size_t file, size_t piece, uint64_t bytes) = 0;
  // The digest is wrong: the partial, still as it was, is emptied when this returns.
  virtual void wrong(size_t file) = 0;
  // The file is in its place and right.
  virtual Status whole(size_t file) = 0;
};

struct FetchOptions {
  int connections = 8;
  uint64_t piece_size = 0;  // 0: by the file's size
  std::function<void(const DownloadProgress&)> progress = nullptr;
  FetchObserver* observer = nullptr;
};

struct FetchReport {
  uint64_t bytes = 0;  // that came over the network and stayed
  std::vector<std::string> fetched;
};

// Files that the target has already are not asked for. Every file is checked by its digest before it takes its place;
// one with a wrong digest is fetched anew, three times in all. The first error ends it. Progress is told in the
// caller's thread, a few times a second.
Result<FetchReport> fetch(HubSession& session, const std::string& repo, const std::string& commit,
                          const std::vector<RepoFile>& files, TargetFolder& target, const FetchOptions& options);

}  // namespace pippin

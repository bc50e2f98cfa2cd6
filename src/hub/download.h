// Downloads within a session; what include/pippin/hub.h offers is this with the settings of the process.
#pragma once

#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/listing.h"
#include "pippin/hub.h"

namespace pippin {

struct RepoListing {
  std::string commit;
  std::vector<RepoFile> files;  // sorted by name
};

// The commit of a revision and all its files. What is known of a commit never changes, so that the cache is asked
// first; nothing is written. Offline, the cache alone.
Result<RepoListing> list_repo(HubSession& session, const std::string& repo, const std::string& revision);

// piece_size: of large files, for tests; 0: by the file's size. A conversion asks for some of the files first: with
// keeps_ref a revision's ref that is there stays where it is.
Result<DownloadReport> download_with(HubSession& session, const DownloadOptions& options, const DownloadHooks& hooks,
                                     uint64_t piece_size = 0, bool keeps_ref = false);

}  // namespace pippin

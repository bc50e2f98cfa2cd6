// Sends large files to the storage host side by side, those that it takes in parts in parts side by side.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/upload_api.h"
#include "hub/upload_folder.h"
#include "pippin/hub.h"

namespace pippin {

struct SendItem {
  LocalFile file;
  LargeObject object;
};

struct SendReport {
  uint64_t bytes = 0;              // of contents that arrived
  std::vector<std::string> names;  // of the files that were sent
};

// Objects that the Hub has already are not sent. A link that has expired is asked for again, a part whose connection
// broke is sent again. The first error ends it; files that arrived whole stay with the Hub for the next run. Progress
// is told in the caller's thread, a few times a second.
Result<SendReport> send_large(HubSession& session, const CommitTarget& target, const std::vector<SendItem>& items,
                              int connections, const std::function<void(const UploadProgress&)>& progress);

}  // namespace pippin

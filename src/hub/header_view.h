// A folder that a conversion can be planned from before the weights are here: the small files of a snapshot, and the
// weight files in their full size with nothing in them but what planning reads.
//
// That is their headers and their small tensors of whole numbers in one dimension (orders of groups, say); the rest is
// a hole. What the snapshot has already is linked as it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/listing.h"

namespace pippin {

class HeaderView {
 public:
  // Makes the folder, among the system's temporary ones, with links to the snapshot's files and empty weight files
  // (*.safetensors) for those of `files` that it lacks. Removed with the object.
  static Result<HeaderView> make(const std::filesystem::path& snapshot, const std::vector<RepoFile>& files);
  HeaderView(HeaderView&& other) noexcept;
  HeaderView& operator=(HeaderView&&) = delete;
  ~HeaderView();

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  // Fetches the headers of the named weight files, eight at a time.
  [[nodiscard]] Status fetch(HubSession& session, const std::string& repo, const std::string& commit,
                             const std::vector<std::string>& names) const;

 private:
  HeaderView(std::filesystem::path folder, std::vector<RepoFile> lacking);

  std::filesystem::path folder_;
  std::vector<RepoFile> lacking_;  // weight files that are not in the snapshot
};

}  // namespace pippin

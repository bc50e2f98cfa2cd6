// A folder that a conversion can be planned from before the weights are here: the small files of a snapshot, and the
// weight files in their full size with nothing in them but what planning reads.
//
// That is their headers and small tensors in one dimension that planning may look at: whole numbers (orders of groups,
// say), and the biases of packed layers. The rest is a hole. What the snapshot has already is linked as it is.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/listing.h"
#include "source/byte_source.h"

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

  // Links files that have come into the snapshot since.
  [[nodiscard]] Status link_new(const std::filesystem::path& snapshot, const std::vector<RepoFile>& files) const;

  // Fetches the headers of the named weight files, eight at a time.
  [[nodiscard]] Status fetch(HubSession& session, const std::string& repo, const std::string& commit,
                             const std::vector<std::string>& names) const;

  // Opens weight files of the view by their paths: what planning reads beside the headers is fetched when it is read.
  // The session outlives the sources; the view must too.
  [[nodiscard]] OpenSource sources(HubSession& session, const std::string& repo, const std::string& commit,
                                   const std::vector<RepoFile>& files) const;

 private:
  class Source;
  struct Range {
    uint64_t begin;
    uint64_t end;
  };
  using Ranges = std::vector<Range>;

  HeaderView(std::filesystem::path folder, std::vector<RepoFile> lacking);
  [[nodiscard]] Status link(const std::filesystem::path& from, const std::filesystem::path& place) const;

  std::filesystem::path folder_;
  std::vector<RepoFile> lacking_;                           // weight files that are not in the snapshot
  std::shared_ptr<std::map<std::string, Ranges>> fetched_;  // of each of them, what is no hole
};

}  // namespace pippin

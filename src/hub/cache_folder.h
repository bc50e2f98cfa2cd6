// A repository's folder in the cache that all Hugging Face tools share. Each finds what another has downloaded.
//
//   CACHE/.locks/models--org--name/ID.lock                     locked while ID is downloaded; stays
//   CACHE/models--org--name/refs/REVISION                      the commit, 40 digits
//   CACHE/models--org--name/blobs/ID                           the content; ID is its sha256 or git's blob id
//   CACHE/models--org--name/blobs/ID.pippin.incomplete         while it arrives, over several runs
//   CACHE/models--org--name/snapshots/COMMIT/FILE              a relative link to its blob
//   CACHE/models--org--name/trees/COMMIT.json                  the files of a commit
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hub/listing.h"
#include "hub/settings.h"
#include "pippin/error.h"

namespace pippin {

class CacheFolder {
 public:
  // repo has been checked. Touches no disk.
  CacheFolder(const HubSettings& settings, const std::string& repo);

  // Makes the folders, and marks the cache for backup programs.
  [[nodiscard]] Status prepare(const std::string& commit) const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }
  [[nodiscard]] std::filesystem::path blob(const std::string& content_id) const {
    return folder_ / "blobs" / content_id;
  }
  [[nodiscard]] std::filesystem::path partial(const std::string& content_id) const;
  [[nodiscard]] std::filesystem::path lock(const std::string& content_id) const;

  // Whether the snapshot has the file, in its full size.
  [[nodiscard]] bool has_file(const std::string& commit, const RepoFile& file) const;
  // Whether the blob is there, in its full size.
  [[nodiscard]] bool has_blob(const RepoFile& file) const;
  // Makes the blob out of a whole and checked partial.
  [[nodiscard]] Status adopt(const std::filesystem::path& partial, const RepoFile& file) const;
  // Puts the file into the snapshot: a link to its blob. Where the disk knows no links (or the settings want none), the
  // file itself: moved there where `fresh`, else copied.
  [[nodiscard]] Status link(const std::string& commit, const RepoFile& file, bool fresh) const;

  // The commit that a revision was when it was last downloaded; of a commit, itself.
  [[nodiscard]] std::optional<std::string> commit_of(const std::string& revision) const;
  [[nodiscard]] Status write_ref(const std::string& revision, const std::string& commit) const;

  // The files of a commit, where any client has noted them.
  [[nodiscard]] std::optional<std::vector<RepoFile>> tree(const std::string& commit) const;
  [[nodiscard]] Status write_tree(const std::string& commit, const std::vector<RepoFile>& files) const;

 private:
  std::filesystem::path cache_;
  std::filesystem::path folder_;
  std::filesystem::path locks_;
  bool symlinks_;
};

}  // namespace pippin

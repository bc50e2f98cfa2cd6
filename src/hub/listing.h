// The Hub's JSON, read into values. All of it is untrusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"

namespace pippin {

// A file of a commit.
struct RepoFile {
  std::string name;     // checked: stays inside its folder
  uint64_t size = 0;    // of the content
  std::string blob_id;  // git's id of the blob: of the content, or of a large file's pointer
  std::string sha256;   // of a large file's content; empty for others
  // What names the content: the sha256 of a large file, else git's id.
  [[nodiscard]] const std::string& content_id() const { return sha256.empty() ? blob_id : sha256; }
  bool operator==(const RepoFile&) const = default;
};

// "sha" of a repository's description: the commit.
Result<std::string> parse_commit(std::string_view json);

// One page of a tree; folders are left out.
Result<std::vector<RepoFile>> parse_tree_page(std::string_view json);

// trees/COMMIT.json of the cache, which all clients share, and its text.
Result<std::vector<RepoFile>> parse_tree_file(std::string_view json);
std::string tree_file_text(const std::vector<RepoFile>& files);

// What tells the bytes of a file from others under its name, as ByteSource::identity().
std::string identity_of(const RepoFile& file);

struct HubUser {
  std::string name;
  std::vector<std::string> organisations;
  std::string role;  // of the token: "read", "write", "fineGrained"; empty where it is not told
};

Result<HubUser> parse_user(std::string_view json);

}  // namespace pippin

// What may be the name of a repository, of a revision or of a file in one. All of them become paths on this disk.
#pragma once

#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin {

// "name" or "org/name" as the Hub allows them. An error (usage) says what is wrong.
Status check_repo_name(const std::string& repo);

// Whether the text could be the name of a repository at all: "org/name", no path that begins with "." or "/".
bool looks_like_repo(const std::string& text);

// A branch, a tag, a commit or refs/pr/N. An error (usage) for what could leave the folder of refs.
Status check_revision(const std::string& revision);

// A file's name as the Hub tells it, relative, with "/". An error (network) for what could leave its folder: "..",
// absolute paths, .git, backslashes, drive letters, control characters, empty parts, parts beyond 255 bytes.
Status check_file_name(const std::string& name);

// 40 lower-case hexadecimal digits.
bool is_commit_id(std::string_view text);

// A commit id or 64 lower-case hexadecimal digits: what names a blob.
bool is_content_id(std::string_view text);

// "models--org--name", the repository's folder in the cache.
std::string cache_folder_name(const std::string& repo);

// The repository of such a folder; empty where it is none.
std::string repo_of_cache_folder(const std::string& folder);

}  // namespace pippin

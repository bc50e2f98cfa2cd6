// Which files of a repository are meant.
#pragma once

#include <string>
#include <vector>

#include "hub/listing.h"
#include "pippin/error.h"

namespace pippin {

struct FileChoice {
  std::vector<std::string> files;    // exact names; empty: all
  std::vector<std::string> include;  // patterns; empty: all
  std::vector<std::string> exclude;
};

// A pattern as Python's fnmatch reads it: "*" "?" "[abc]" "[!abc]" on the whole name, "*" crosses "/", case matters.
// "folder/" means all in it.
bool matches(const std::string& pattern, const std::string& name);

// The files that the choice lets through, in their order. A name that the repository does not have is an error
// (not_found) with the names that come near; a choice that leaves none too.
Result<std::vector<RepoFile>> choose_files(const std::vector<RepoFile>& files, const FileChoice& choice,
                                           const std::string& repo);

}  // namespace pippin

// Which files of a folder go to the Hub: the regular ones, and nothing that should not be seen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hub/disk_file.h"
#include "pippin/error.h"

namespace pippin {

struct LocalFile {
  std::string name;            // in the repository, with "/"
  std::filesystem::path path;  // what is read
  uint64_t size = 0;
};

struct FolderFiles {
  std::vector<LocalFile> files;       // sorted by name
  std::vector<std::string> left_out;  // printable names: hidden, unfinished, neither file nor folder
};

// Left out: all whose name begins with a dot (.git, .cache), what broken-off downloads left (*.incomplete and the
// like), and what is neither file nor folder. An error (usage), before anything is sent: links that lead to a folder or
// out of this one, names that cannot be names in a repository, and files whose name or text holds an access token: this
// one (may be empty), or any that looks like one of the Hub's. not_found for a folder that is missing or has no files.
Result<FolderFiles> files_to_upload(const std::filesystem::path& folder, const std::string& token);

// An error (io) where the file cannot be read.
Result<DiskFile> open_to_upload(const LocalFile& file);

}  // namespace pippin

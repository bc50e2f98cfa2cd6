// Where a download goes: into the shared cache, or into a folder of the user's own.
#pragma once

#include <filesystem>
#include <string>

#include "hub/cache_folder.h"
#include "hub/listing.h"
#include "pippin/error.h"

namespace pippin {

class TargetFolder {
 public:
  TargetFolder() = default;
  TargetFolder(const TargetFolder&) = delete;
  TargetFolder& operator=(const TargetFolder&) = delete;
  virtual ~TargetFolder() = default;

  // Whether the file is in its place, whole. Brings it there if its content is at hand already.
  virtual Result<bool> has(const RepoFile& file) = 0;
  // Where it arrives. The file and its folder are this object's own while it holds the lock.
  [[nodiscard]] virtual std::filesystem::path partial(const RepoFile& file) const = 0;
  [[nodiscard]] virtual std::filesystem::path lock(const RepoFile& file) const = 0;
  // Puts a whole and checked partial into its place.
  virtual Status put(const std::filesystem::path& partial, const RepoFile& file) = 0;
};

// snapshots/COMMIT of a repository in the cache.
class CacheTarget final : public TargetFolder {
 public:
  CacheTarget(const CacheFolder& cache, std::string commit) : cache_(cache), commit_(std::move(commit)) {}
  Result<bool> has(const RepoFile& file) override;
  [[nodiscard]] std::filesystem::path partial(const RepoFile& file) const override;
  [[nodiscard]] std::filesystem::path lock(const RepoFile& file) const override;
  Status put(const std::filesystem::path& partial, const RepoFile& file) override;

 private:
  const CacheFolder& cache_;
  std::string commit_;
};

// A folder that holds the files themselves. What each is stands in FOLDER/.cache/huggingface/download/FILE.metadata, as
// the official client writes it. A file that is there without it is looked at: the same content is taken as it is, any
// other is replaced.
class LocalTarget final : public TargetFolder {
 public:
  LocalTarget(std::filesystem::path folder, std::string commit)
      : folder_(std::move(folder)), commit_(std::move(commit)) {}
  // Makes the folders.
  [[nodiscard]] Status prepare() const;
  Result<bool> has(const RepoFile& file) override;
  [[nodiscard]] std::filesystem::path partial(const RepoFile& file) const override;
  [[nodiscard]] std::filesystem::path lock(const RepoFile& file) const override;
  Status put(const std::filesystem::path& partial, const RepoFile& file) override;

 private:
  [[nodiscard]] std::filesystem::path note_path(const RepoFile& file, const char* extension) const;
  [[nodiscard]] bool is_noted(const RepoFile& file) const;
  [[nodiscard]] Status write_note(const RepoFile& file) const;

  std::filesystem::path folder_;
  std::string commit_;
};

}  // namespace pippin

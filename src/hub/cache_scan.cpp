#include "hub/cache_scan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "hub/digest.h"
#include "hub/disk_file.h"
#include "hub/repo_name.h"
#include "source/quoted_text.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr auto progress_every = std::chrono::milliseconds(100);

// The entries of a folder, sorted; none where it cannot be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::end(entry); entry.increment(error))
    entries.push_back(entry->path());
  std::ranges::sort(entries);
  return entries;
}

// Everything below a folder that is no folder, links not followed, sorted.
std::vector<fs::path> leaves_of(const fs::path& folder) {
  std::vector<fs::path> leaves;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_symlink(ignored) || !entry->is_directory(ignored)) leaves.push_back(entry->path());
  }
  std::ranges::sort(leaves);
  return leaves;
}

bool is_partial(const fs::path& path) {
  return path.filename().string().ends_with(".incomplete");
}

// Bytes that a file takes on the disk: partials are full of holes.
uint64_t taken_by(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

std::vector<CachedRevision> revisions_of(const fs::path& folder) {
  std::vector<CachedRevision> revisions;
  for (const auto& snapshot : entries_of(folder / "snapshots")) {
    CachedRevision revision;
    revision.commit = snapshot.filename().string();
    for (const auto& leaf : leaves_of(snapshot)) {
      std::error_code error;
      const auto size = fs::file_size(leaf, error);
      ++revision.files;
      revision.bytes += error ? 0 : size;
    }
    revisions.push_back(std::move(revision));
  }
  for (const auto& ref : leaves_of(folder / "refs")) {
    const auto commit = text_of_file(ref);
    for (auto& revision : revisions) {
      if (commit && commit->starts_with(revision.commit))
        revision.refs.push_back(fs::relative(ref, folder / "refs").generic_string());
    }
  }
  return revisions;
}

CachedRepo repo_in(const fs::path& folder, const std::string& name) {
  CachedRepo repo{name, folder, revisions_of(folder)};
  for (const auto& blob : entries_of(folder / "blobs")) {
    struct stat status {};
    if (::stat(blob.c_str(), &status) != 0) continue;
    if (is_partial(blob)) {
      repo.partial_bytes += taken_by(blob);
      continue;
    }
    repo.bytes += static_cast<uint64_t>(status.st_size);
    repo.last_used = std::max<int64_t>(repo.last_used, status.st_atime);
  }
  // Without links the snapshots hold the files themselves.
  if (repo.bytes == 0) {
    for (const auto& revision : repo.revisions) repo.bytes += revision.bytes;
  }
  return repo;
}

Result<std::vector<CachedRepo>> chosen(const fs::path& cache, const std::vector<std::string>& names) {
  PIPPIN_TRY(const CacheReport report, scan_cache(cache));
  if (names.empty()) return report.repos;
  std::vector<CachedRepo> repos;
  std::vector<std::string> missing;
  for (const auto& name : names) {
    const auto found = std::ranges::find(report.repos, name, &CachedRepo::repo);
    if (found == report.repos.end())
      missing.push_back(in_quotes(name));
    else
      repos.push_back(*found);
  }
  if (missing.empty()) return repos;
  return fail(ErrorTag::not_found, "the repositories are in the cache",
              fmt::format("{} has no {}", cache.string(), missing.front()), "pippin cache ls lists them", missing);
}

// Blobs with other bytes than their names say, and links to nothing.
class Checker {
 public:
  Checker(uint64_t total, const DownloadHooks& hooks) : hooks_(hooks) { progress_.total = total; }

  Status check(const CachedRepo& repo) {
    for (const auto& blob : entries_of(repo.folder / "blobs")) PIPPIN_CHECK(check_blob(repo, blob));
    for (const auto& leaf : leaves_of(repo.folder / "snapshots")) {
      std::error_code error;
      if (!fs::exists(leaf, error)) add(repo, leaf, "leads to a file that is missing");
    }
    return {};
  }

  CacheCheck take() { return std::move(result_); }

 private:
  Status check_blob(const CachedRepo& repo, const fs::path& blob) {
    const std::string id = blob.filename().string();
    if (is_partial(blob)) return {};
    if (!is_content_id(id)) return {};
    auto opened = DiskFile::open(blob, O_RDONLY);
    if (!opened) {
      add(repo, blob, "cannot be read");
      return {};
    }
    PIPPIN_TRY(const uint64_t size, opened->size());
    PIPPIN_TRY(const std::string found,
               content_id_of(opened->number(), size, id, blob.string(), [this] { return is_cancelled(); }));
    if (found != id) add(repo, blob, "its content is not what its name says");
    ++result_.blobs;
    result_.bytes += size;
    show(size);
    return {};
  }

  void add(const CachedRepo& repo, const fs::path& path, const char* what) {
    result_.faults.push_back({repo.repo, path.lexically_relative(repo.folder).generic_string(), what});
  }

  void show(uint64_t bytes) {
    progress_.done += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (!hooks_.progress || now - shown_ < progress_every) return;
    shown_ = now;
    hooks_.progress(progress_);
  }

  [[nodiscard]] bool is_cancelled() const { return hooks_.cancelled != nullptr && hooks_.cancelled->load(); }

  const DownloadHooks& hooks_;
  CacheCheck result_;
  DownloadProgress progress_;
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace

Result<CacheReport> scan_cache(const fs::path& cache) {
  CacheReport report{cache, {}};
  for (const auto& folder : entries_of(cache)) {
    std::error_code error;
    const std::string name = repo_of_cache_folder(folder.filename().string());
    if (!name.empty() && fs::is_directory(folder, error)) report.repos.push_back(repo_in(folder, name));
  }
  std::ranges::sort(report.repos, {}, &CachedRepo::repo);
  return report;
}

Result<CacheRemoval> remove_repos(const fs::path& cache, const std::vector<std::string>& repos) {
  CacheRemoval removal;
  if (repos.empty()) return removal;
  PIPPIN_TRY(const auto found, chosen(cache, repos));
  for (const auto& repo : found) {
    // Out of everybody's sight first: a half-removed repository must not look like one.
    const fs::path waste = cache / fmt::format(".removed-{}-{}", ::getpid(), repo.folder.filename().string());
    std::error_code error;
    fs::rename(repo.folder, waste, error);
    if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "remove", repo.folder));
    fs::remove_all(waste, error);
    if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "remove", waste));
    removal.bytes += repo.bytes + repo.partial_bytes;
    removal.removed.push_back(repo.repo);
  }
  return removal;
}

Result<CacheRemoval> remove_partials(const fs::path& cache) {
  CacheRemoval removal;
  PIPPIN_TRY(const CacheReport report, scan_cache(cache));
  for (const auto& repo : report.repos) {
    for (const auto& path : entries_of(repo.folder / "blobs")) {
      if (!is_partial(path)) continue;
      const std::string id = path.filename().string();
      const fs::path lock = cache / ".locks" / repo.folder.filename() / (id.substr(0, id.find('.')) + ".lock");
      std::error_code error;
      // A download that runs holds the lock of its content.
      const auto held = fs::exists(lock, error) ? DiskFile::open(lock, O_RDWR) : Result<DiskFile>(DiskFile());
      if (held && held->number() >= 0 && !held->try_lock()) continue;
      const uint64_t bytes = taken_by(path);
      if (!fs::remove(path, error)) continue;
      removal.bytes += bytes;
      removal.removed.push_back(path.lexically_relative(cache).generic_string());
    }
  }
  return removal;
}

Result<CacheCheck> check_cache(const fs::path& cache, const std::vector<std::string>& repos,
                               const DownloadHooks& hooks) {
  PIPPIN_TRY(const auto found, chosen(cache, repos));
  uint64_t total = 0;
  for (const auto& repo : found) total += repo.bytes;
  Checker checker(total, hooks);
  for (const auto& repo : found) PIPPIN_CHECK(checker.check(repo));
  return checker.take();
}

}  // namespace pippin

#include "hub/download.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <system_error>

#include "hub/cache_folder.h"
#include "hub/fetch_queue.h"
#include "hub/file_choice.h"
#include "hub/hub_api.h"
#include "hub/repo_name.h"
#include "hub/target_folder.h"
#include "source/quoted_text.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

Result<std::vector<RepoFile>> chosen_of(const std::vector<RepoFile>& files, const DownloadOptions& options) {
  return choose_files(files, {options.files, options.include, options.exclude}, options.repo);
}

uint64_t bytes_of(const std::vector<RepoFile>& files) {
  uint64_t bytes = 0;
  for (const auto& file : files) bytes += file.size;
  return bytes;
}

DownloadReport report_of(const DownloadOptions& options, const std::string& commit, const fs::path& folder,
                         const std::vector<RepoFile>& files) {
  DownloadReport report;
  report.repo = options.repo;
  report.revision = options.revision;
  report.commit = commit;
  report.folder = folder;
  for (const auto& file : files) report.files.push_back({file.name, file.size, false});
  report.bytes = bytes_of(files);
  return report;
}

// A snapshot whose files nobody has listed: what is there.
std::vector<RepoFile> files_on_disk(const fs::path& snapshot) {
  std::vector<RepoFile> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(snapshot, error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    files.push_back(
        {fs::relative(entry->path(), snapshot, ignored).generic_string(), entry->file_size(ignored), {}, {}});
  }
  std::ranges::sort(files, {}, &RepoFile::name);
  return files;
}

// What the cache has without asking anybody; an error (not_found) where it has not all.
Result<DownloadReport> take_from_cache(const CacheFolder& cache, const DownloadOptions& options) {
  const auto missing = [&](const std::string& what, std::vector<std::string> details = {}) {
    return fail(ErrorTag::not_found, "offline, all files are in the cache already",
                fmt::format("{} at {}: {} {}", options.repo, options.revision, what, cache.folder().string()),
                "run it once with a connection, without HF_HUB_OFFLINE", std::move(details));
  };
  const auto commit = cache.commit_of(options.revision);
  std::error_code ignored;
  if (!commit || !fs::is_directory(cache.snapshot(*commit), ignored)) return missing("not in");
  const auto tree = cache.tree(*commit);
  PIPPIN_TRY(const auto files, chosen_of(tree ? *tree : files_on_disk(cache.snapshot(*commit)), options));
  std::vector<std::string> lacking;
  for (const auto& file : files) {
    if (!cache.has_file(*commit, file)) lacking.push_back("missing " + printable(file.name));
  }
  if (!lacking.empty())
    return missing(fmt::format("{} of {} files are missing in", lacking.size(), files.size()), lacking);
  DownloadReport report = report_of(options, *commit, cache.snapshot(*commit), files);
  report.from_cache = true;
  return report;
}

// What is to come must fit. Partials of earlier runs take some of the space already.
Status check_space(const std::vector<RepoFile>& files, const TargetFolder& target, const fs::path& folder) {
  uint64_t needed = 0;
  std::set<fs::path> counted;
  for (const auto& file : files) {
    const fs::path partial = target.partial(file);
    if (!counted.insert(partial).second) continue;
    struct stat status {};
    const uint64_t there = ::stat(partial.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
    needed += file.size - std::min(file.size, there);
  }
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (error || space.available >= needed) return {};
  return fail(ErrorTag::no_space, "the download fits on the disk",
              fmt::format("{} bytes are to come, {} bytes are free in {}", needed, space.available, folder.string()),
              "free some space, or set HF_HUB_CACHE or HF_HOME to another disk");
}

Result<DownloadReport> fetch_into(HubSession& session, const DownloadOptions& options, const std::string& commit,
                                  const std::vector<RepoFile>& files, const fs::path& folder, TargetFolder& target,
                                  const FetchOptions& fetching) {
  DownloadReport report = report_of(options, commit, folder, files);
  std::vector<RepoFile> wanted;
  for (const auto& file : files) {
    PIPPIN_TRY(const bool there, target.has(file));
    if (!there) wanted.push_back(file);
  }
  if (wanted.empty()) return report;
  PIPPIN_CHECK(check_space(wanted, target, folder));
  PIPPIN_TRY(const FetchReport fetched, fetch(session, options.repo, commit, wanted, target, fetching));
  report.bytes_fetched = fetched.bytes;
  const std::set<std::string> names(fetched.fetched.begin(), fetched.fetched.end());
  for (auto& file : report.files) file.fetched = names.contains(file.name);
  return report;
}

}  // namespace

Result<RepoListing> list_repo(HubSession& session, const std::string& repo, const std::string& revision) {
  PIPPIN_CHECK(check_repo_name(repo));
  PIPPIN_CHECK(check_revision(revision));
  const CacheFolder cache(session.settings(), repo);
  RepoListing listing;
  const auto known_commit = session.settings().offline ? cache.commit_of(revision) : std::nullopt;
  if (is_commit_id(revision) || known_commit) {
    listing.commit = known_commit.value_or(revision);
  } else {
    PIPPIN_TRY(listing.commit, commit_of(session, repo, revision));
  }
  if (auto known = cache.tree(listing.commit)) {
    listing.files = std::move(*known);
    return listing;
  }
  PIPPIN_TRY(listing.files, files_of(session, repo, listing.commit));
  return listing;
}

Result<DownloadReport> download_with(HubSession& session, const DownloadOptions& options, const DownloadHooks& hooks,
                                     uint64_t piece_size, bool keeps_ref) {
  const auto begin = std::chrono::steady_clock::now();
  PIPPIN_CHECK(check_repo_name(options.repo));
  PIPPIN_CHECK(check_revision(options.revision));
  const CacheFolder cache(session.settings(), options.repo);
  const bool to_cache = options.local_dir.empty();
  if (session.settings().offline && to_cache) return take_from_cache(cache, options);

  auto listing = list_repo(session, options.repo, options.revision);
  if (!listing) {
    if (listing.error().tag != ErrorTag::network || !to_cache) return tl::unexpected<Error>(std::move(listing).error());
    auto cached = take_from_cache(cache, options);
    if (!cached) return tl::unexpected<Error>(std::move(listing).error());
    cached->warnings.push_back(fmt::format("taken from the cache as it is, for {}", listing.error().value));
    return cached;
  }
  PIPPIN_TRY(const auto files, chosen_of(listing->files, options));

  FetchOptions fetching;
  fetching.connections = options.connections;
  fetching.piece_size = piece_size;
  fetching.progress = hooks.progress;
  Result<DownloadReport> report;
  if (to_cache) {
    PIPPIN_CHECK(cache.prepare(listing->commit));
    PIPPIN_CHECK(cache.write_tree(listing->commit, listing->files));
    CacheTarget target(cache, listing->commit);
    report = fetch_into(session, options, listing->commit, files, cache.snapshot(listing->commit), target, fetching);
    // Only a snapshot that is complete takes the place of the one before it.
    const bool writes_ref = !keeps_ref || !cache.commit_of(options.revision);
    if (report && writes_ref) PIPPIN_CHECK(cache.write_ref(options.revision, listing->commit));
  } else {
    LocalTarget target(options.local_dir, listing->commit);
    PIPPIN_CHECK(target.prepare());
    report = fetch_into(session, options, listing->commit, files, options.local_dir, target, fetching);
  }
  if (report) report->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace pippin

#include "pippin/convert_repo.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "convert/conversion.h"
#include "convert/request_of.h"
#include "convert/spec_choice.h"
#include "hub/cache_folder.h"
#include "hub/cache_supply.h"
#include "hub/disk_file.h"
#include "hub/download.h"
#include "hub/header_view.h"
#include "hub/settings.h"
#include "hub/spool_supply.h"
#include "package/destination.h"
#include "source/checkpoint.h"
#include "source/weight_files.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

// What planning reads but for the weights; vocabularies are large and of no use to it.
const std::vector<std::string> planning_files{"*.json"};
const std::vector<std::string> not_for_planning{"tokenizer.json", "vocab.json", "original/", "onnx/", "openvino/"};
// What goes along with the weights, whichever the target.
const std::vector<std::string> small_files{
    "*.json", "*.jsonl", "*.py",           "*.txt",    "*.jinja",  "*.model", "*.spm",    "*.tiktoken", "tokenizer*",
    "vocab*", "merges*", "chat_template*", "LICENSE*", "LICENCE*", "NOTICE*", "COPYING*", "*POLICY*",   "README.md"};
const std::vector<std::string> not_small{"original/", "onnx/",  "openvino/", "*.safetensors",
                                         "*.bin",     "*.gguf", "*.pth"};

// A commit of the repository, on its way to this disk.
struct Fetched {
  RepoListing listing;
  fs::path snapshot;
};

DownloadOptions download_of(const RepoSource& source, const std::string& revision) {
  DownloadOptions options;
  options.repo = source.repo;
  options.revision = revision;
  return options;
}

Result<Fetched> fetch_for_planning(HubSession& session, const RepoSource& source, const DownloadHooks& hooks) {
  DownloadOptions wanted = download_of(source, source.revision);
  wanted.include = planning_files;
  wanted.exclude = not_for_planning;
  PIPPIN_TRY(const DownloadReport report, download_with(session, wanted, hooks, 0, true));
  PIPPIN_TRY(RepoListing listing, list_repo(session, source.repo, report.commit));
  return Fetched{std::move(listing), report.folder};
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The temporary folder of a view means nothing to the user: the repository does.
tl::unexpected<Error> told(Error error, const fs::path& folder, const std::string& repo) {
  for (std::string* text : {&error.value, &error.way_out}) replace_all(*text, folder.string(), repo);
  for (auto& detail : error.details) replace_all(detail, folder.string(), repo);
  return tl::unexpected<Error>(std::move(error));
}

// A view of the commit to plan from, and the weight files that count.
struct Headers {
  HeaderView view;
  std::vector<std::string> weights;
};

Result<Headers> fetch_headers(HubSession& session, const ConvertOptions& options, const RepoSource& source,
                              const Fetched& fetched) {
  PIPPIN_TRY(HeaderView view, HeaderView::make(fetched.snapshot, fetched.listing.files));
  PIPPIN_TRY(SpecLibrary library, library_of(options.arch));
  const auto refused = [&](const Error& error) { return told(error, view.folder(), source.repo); };
  const auto config = Checkpoint::read_config(view.folder());
  if (!config) return refused(config.error());
  const auto choice = choose_spec(library, *config, options.target, options.arch_name);
  if (!choice) {
    // A model that is not known is refused; its tensors may tell what it is like.
    const auto all = choose_weight_files(view.folder(), FileSelection::mlx_vlm);
    if (!all || !view.fetch(session, source.repo, fetched.listing.commit, all->names)) return refused(choice.error());
    const auto likely = choose_spec_of(view.folder(), library, *config, options.target, options.arch_name);
    return refused(likely ? choice.error() : likely.error());
  }
  const auto selection = choice->target == Target::mlx_lm ? FileSelection::mlx_lm : FileSelection::mlx_vlm;
  auto weights = choose_weight_files(view.folder(), selection);
  if (!weights) return refused(weights.error());
  PIPPIN_CHECK(view.fetch(session, source.repo, fetched.listing.commit, weights->names));
  return Headers{std::move(view), std::move(weights->names)};
}

Result<Prepared> prepare_from(HubSession& session, const ConvertOptions& of_view, const Headers& headers,
                              const RepoSource& source, const Fetched& fetched) {
  auto prepared =
      prepare(of_view, headers.view.sources(session, source.repo, fetched.listing.commit, fetched.listing.files));
  if (!prepared) return told(prepared.error(), of_view.source, source.repo);
  return prepared;
}

void tell_repo(ConvertReport& report, const fs::path& folder, const std::string& repo) {
  for (auto& warning : report.warnings) replace_all(warning, folder.string(), repo);
}

// The folder that is there already, on the way to one that will be.
fs::path existing(fs::path path) {
  std::error_code error;
  path = fs::absolute(path, error);
  while (!path.empty() && path != path.root_path() && !fs::exists(path, error)) path = path.parent_path();
  return path;
}

// What a file or a folder of files takes on the disk.
uint64_t bytes_taken(const fs::path& path) {
  constexpr uint64_t block = 512;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return 0;
  uint64_t bytes = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_blocks) * block : 0;
  std::error_code error;
  if (!S_ISDIR(status.st_mode)) return bytes;
  for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    bytes += bytes_taken(entry->path());
  return bytes;
}

uint64_t less(uint64_t bytes, uint64_t taken) {
  return bytes - std::min(bytes, taken);
}

// Bytes of weights that are still to come into the cache; broken-off downloads have a part of them.
uint64_t bytes_to_come(const Fetched& fetched, const Headers& headers, const CacheFolder& cache) {
  uint64_t bytes = 0;
  for (const auto& file : fetched.listing.files) {
    const bool is_weight = std::ranges::find(headers.weights, file.name) != headers.weights.end();
    if (!is_weight || cache.has_file(fetched.listing.commit, file) || cache.has_blob(file)) continue;
    bytes += less(file.size, bytes_taken(cache.partial(file.content_id())));
  }
  return bytes;
}

Status check_one_disk(const fs::path& folder, uint64_t output, uint64_t weights) {
  std::error_code error;
  const auto free = fs::space(folder, error);
  if (error || output + weights <= free.available) return {};
  return fail(ErrorTag::no_space, "the download and the output fit on the disk",
              fmt::format("{} bytes of output and {} bytes of weights are still to come, {} bytes are free in {}",
                          output, weights, free.available, folder.string()),
              "free some space, write to another disk, set HF_HUB_CACHE to another one, or give --no-cache");
}

// The weights that are to come and the output must fit, both where they share a disk. Without a copy it is a window of
// the weights, on the output's disk.
Status check_space(const Fetched& fetched, const Headers& headers, const ConvertReport& plan, const CacheFolder& cache,
                   bool keeps) {
  const fs::path output = existing(plan.destination);
  const fs::path destination = fs::absolute(plan.destination).lexically_normal();
  const uint64_t written = bytes_taken(swap_paths_of(destination).fresh);
  uint64_t weights = bytes_to_come(fetched, headers, cache);
  if (!keeps) weights = std::min(weights, SpoolOptions().window);
  const fs::path cached = existing(cache.folder());
  struct stat cache_disk {};
  struct stat output_disk {};
  const bool is_one = ::stat(cached.c_str(), &cache_disk) == 0 && ::stat(output.c_str(), &output_disk) == 0 &&
                      cache_disk.st_dev == output_disk.st_dev;
  if (!keeps || is_one) return check_one_disk(output, less(plan.output_bytes, written), weights);
  PIPPIN_CHECK(check_one_disk(output, less(plan.output_bytes, written), 0));
  return check_one_disk(cached, 0, weights);
}

Result<HubSettings> settings() {
  return settings_of(variable_of_process);
}

// What goes along with the weights.
Status fetch_small_files(HubSession& session, const RepoSource& source, const Fetched& fetched,
                         const DownloadHooks& hooks) {
  DownloadOptions wanted = download_of(source, fetched.listing.commit);
  wanted.include = small_files;
  wanted.exclude = not_small;
  PIPPIN_CHECK(download_with(session, wanted, hooks));
  return {};
}

std::vector<RepoFile> weight_files(const Fetched& fetched, const Checkpoint& checkpoint) {
  std::vector<RepoFile> files;
  for (const auto& source : checkpoint.files()) {
    const auto file = std::ranges::find(fetched.listing.files, source->name(), &RepoFile::name);
    if (file != fetched.listing.files.end()) files.push_back(*file);
  }
  return files;
}

// Two programs of progress that go on at the same time: the download's is shown until all is there.
class Progress {
 public:
  Progress(const ConvertHooks& hooks, const std::function<void(const DownloadProgress&)>& downloading)
      : hooks_(hooks), downloading_(downloading) {}

  DownloadHooks of_download() {
    return {hooks_.cancelled, [this](const DownloadProgress& progress) {
              const std::lock_guard lock(mutex_);
              is_downloading_ = progress.files_done < progress.files;
              if (downloading_) downloading_(progress);
            }};
  }

  ConvertHooks of_conversion() {
    ConvertHooks hooks = hooks_;
    if (!hooks_.progress) return hooks;
    hooks.progress = [this](uint64_t done, uint64_t total) {
      const std::lock_guard lock(mutex_);
      if (!is_downloading_ || done == total) hooks_.progress(done, total);
    };
    return hooks;
  }

 private:
  const ConvertHooks& hooks_;
  const std::function<void(const DownloadProgress&)>& downloading_;
  std::mutex mutex_;
  bool is_downloading_ = true;
};

// A folder of the system's temporary ones, removed with the object.
class TemporaryCache {
 public:
  static Result<TemporaryCache> make() {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "pippin-source-XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr)
      return tl::unexpected<Error>(download_disk_error(errno, "create", pattern));
    return TemporaryCache(pattern);
  }
  TemporaryCache(TemporaryCache&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  TemporaryCache& operator=(TemporaryCache&&) = delete;
  ~TemporaryCache() {
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }
  [[nodiscard]] const fs::path& folder() const { return folder_; }

 private:
  explicit TemporaryCache(fs::path folder) : folder_(std::move(folder)) {}
  fs::path folder_;
};

// The user's cache, and whether it takes what comes.
struct UsersCache {
  HubSettings settings;
  bool keeps = true;
};

// What the cache has is read there.
std::vector<SpoolFile> spool_files(const std::vector<RepoFile>& weights, const CacheFolder& cache,
                                   const std::string& commit) {
  std::vector<SpoolFile> files;
  for (const auto& file : weights) {
    fs::path local;
    if (cache.has_file(commit, file)) local = cache.snapshot(commit) / file.name;
    if (local.empty() && cache.has_blob(file)) local = cache.blob(file.content_id());
    files.push_back({file, local});
  }
  return files;
}

Result<ConvertReport> convert_fetched(HubSession& session, const UsersCache& cached, const ConvertOptions& options,
                                      const RepoSource& source, const Fetched& fetched, const ConvertHooks& hooks,
                                      Progress& progress) {
  PIPPIN_TRY(const Headers headers, fetch_headers(session, options, source, fetched));
  ConvertOptions of_view = options;
  of_view.source = headers.view.folder();
  if (of_view.source_name.empty()) of_view.source_name = source.repo;
  PIPPIN_TRY(Prepared prepared, prepare_from(session, of_view, headers, source, fetched));
  const CacheFolder cache(cached.settings, source.repo);
  PIPPIN_CHECK(check_space(fetched, headers, prepared.report, cache, cached.keeps));
  PIPPIN_CHECK(fetch_small_files(session, source, fetched, {hooks.cancelled, nullptr}));
  PIPPIN_CHECK(headers.view.link_new(fetched.snapshot, fetched.listing.files));

  const std::vector<RepoFile> weights = weight_files(fetched, prepared.checkpoint);
  Result<ConvertReport> report;
  if (cached.keeps) {
    FetchOptions fetching;
    fetching.progress = progress.of_download().progress;
    CacheSupply supply(session, cache, source.repo, fetched.listing.commit, weights, fetching);
    report = run_conversion(std::move(prepared), of_view, progress.of_conversion(), &supply);
    if (report) report->bytes_fetched = supply.bytes_fetched();
  } else {
    SpoolOptions spooling;
    spooling.progress = progress.of_download().progress;
    SpoolSupply supply(session, source.repo, fetched.listing.commit,
                       spool_files(weights, cache, fetched.listing.commit), spooling);
    report = run_conversion(std::move(prepared), of_view, progress.of_conversion(), &supply);
    if (report) report->bytes_fetched = supply.bytes_fetched();
  }
  if (!report) return told(report.error(), of_view.source, source.repo);
  tell_repo(*report, of_view.source, source.repo);
  if (cached.keeps) PIPPIN_CHECK(cache.write_ref(source.revision, fetched.listing.commit));
  return report;
}

}  // namespace

Result<ConvertReport> plan_repo_conversion(const ConvertOptions& options, const RepoSource& source,
                                           const DownloadHooks& hooks) {
  PIPPIN_TRY(HubSettings hub_settings, settings());
  HubSession session(std::move(hub_settings), {hooks.cancelled});
  PIPPIN_TRY(const Fetched fetched, fetch_for_planning(session, source, hooks));
  PIPPIN_TRY(const Headers headers, fetch_headers(session, options, source, fetched));
  ConvertOptions of_view = options;
  of_view.source = headers.view.folder();
  PIPPIN_TRY(Prepared prepared, prepare_from(session, of_view, headers, source, fetched));
  tell_repo(prepared.report, of_view.source, source.repo);
  return std::move(prepared.report);
}

Result<ConvertReport> convert_repo(const ConvertOptions& options, const RepoSource& source, const ConvertHooks& hooks,
                                   const std::function<void(const DownloadProgress&)>& downloading) {
  Progress progress(hooks, downloading);
  PIPPIN_TRY(HubSettings hub_settings, settings());
  // Offline nothing comes that could be kept.
  const UsersCache cached{hub_settings, source.keep || hub_settings.offline};
  std::optional<TemporaryCache> temporary;
  if (!cached.keeps) {
    PIPPIN_TRY(TemporaryCache made, TemporaryCache::make());
    temporary.emplace(std::move(made));
    hub_settings.cache = temporary->folder();
  }
  HubSession session(std::move(hub_settings), {hooks.cancelled});
  PIPPIN_TRY(const Fetched fetched, fetch_for_planning(session, source, {hooks.cancelled, nullptr}));
  return convert_fetched(session, cached, options, source, fetched, hooks, progress);
}

}  // namespace pippin

// The Hugging Face Hub: downloads into the cache that all its tools share, what lies there, and uploads.
//
// Where the Hub and the cache are, and whose token is sent, says the environment, as for the official client:
// HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN or the token file, HF_HUB_OFFLINE, HTTPS_PROXY. The token goes to the
// Hub only and stands in no message. Errors: not_found (repository, revision, file), denied (gated, bad token),
// network, no_space, destination, bad_file (content that is not what the Hub promised), interrupted.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pippin/error.h"

namespace pippin {

struct DownloadOptions {
  std::string repo;  // "org/name"
  std::string revision = "main";
  std::vector<std::string> files;    // exact names; empty: all that the patterns let through
  std::vector<std::string> include;  // shell patterns on whole names, "*" crosses "/"; empty: all
  std::vector<std::string> exclude;
  std::filesystem::path local_dir;  // instead of the cache
  int connections = 8;
};

struct DownloadProgress {
  uint64_t done = 0;   // bytes that came in this run
  uint64_t total = 0;  // bytes that were to come
  size_t files_done = 0;
  size_t files = 0;
  struct File {
    std::string name;
    uint64_t done;  // of it, earlier runs included
    uint64_t size;
  };
  std::vector<File> current;  // being fetched now
};

struct DownloadHooks {
  const std::atomic<bool>* cancelled = nullptr;  // true ends the run (interrupted); what has arrived is kept
  std::function<void(const DownloadProgress&)> progress;
};

struct DownloadedFile {
  std::string name;
  uint64_t size = 0;
  bool fetched = false;  // in this run
};

struct DownloadReport {
  std::string repo;
  std::string revision;
  std::string commit;
  std::filesystem::path folder;  // that holds the files by their names
  std::vector<DownloadedFile> files;
  uint64_t bytes = 0;          // of all files
  uint64_t bytes_fetched = 0;  // in this run
  double seconds = 0;
  bool from_cache = false;  // the Hub was not asked, or could not be reached
  std::vector<std::string> warnings;
};

// Makes the files be there, whole and checked, and says where. Interrupted, the next call fetches only what is missing.
// Where the Hub cannot be reached and the cache has all, that is taken, with a warning. Callable from several threads
// and processes at the same time.
Result<DownloadReport> download(const DownloadOptions& options, const DownloadHooks& hooks = {});

struct UploadOptions {
  std::filesystem::path folder;
  std::string repo;               // "org/name"; made where it is missing
  std::string revision = "main";  // a branch; made where it is missing
  bool is_private = false;        // of a new repository; one that is there and public is an error (denied)
  bool as_pull_request = false;
  std::string message;  // of the commit; empty: "Upload with pippin"
  int connections = 5;
};

struct UploadProgress {
  enum class Stage : uint8_t { reading, sending } stage = Stage::reading;  // digests first
  uint64_t done = 0;                                                       // bytes, of this stage
  uint64_t total = 0;
  size_t files_done = 0;
  size_t files = 0;
  std::vector<DownloadProgress::File> current;
};

struct UploadHooks {
  const std::atomic<bool>* cancelled = nullptr;  // true ends the run (interrupted)
  std::function<void(const UploadProgress&)> progress;
};

struct UploadedFile {
  std::string name;
  uint64_t size = 0;
  bool sent = false;  // in this run
};

struct UploadReport {
  std::string repo;
  std::string revision;
  std::string commit;         // that has the files
  std::string url;            // of the repository, or of the pull request
  bool created = false;       // the repository
  bool committed = false;     // false: the branch had all of it already
  bool pull_request = false;  // a new one
  std::vector<UploadedFile> files;
  std::vector<std::string> left_out;
  uint64_t bytes = 0;       // of all files
  uint64_t bytes_sent = 0;  // of contents, in this run
  double seconds = 0;
};

// Puts the regular files of a folder into a repository, with one commit at the end: before it, nobody sees anything.
// Other files of the repository stay. What the Hub has already is not sent: an upload that was broken off goes on with
// the files that were not whole. Hidden files and what broken-off downloads left stay behind; links out of the folder,
// and files that hold an access token, are an error (usage) before anything is sent. Errors besides: denied, network,
// not_found, bad_config (the front matter of README.md), bad_file (a file that changes meanwhile).
Result<UploadReport> upload(const UploadOptions& options, const UploadHooks& hooks = {});

// Whether upload() would be allowed, as far as the Hub tells beforehand. Sends nothing; options.folder is not looked
// at.
Status check_upload(const UploadOptions& options);

// Whether the text could be the name of a repository: "org/name".
bool is_repo_name(const std::string& text);

struct HubIdentity {
  std::string name;
  std::vector<std::string> organisations;
  std::string role;          // of the token: "read", "write", "fineGrained"
  std::string token_origin;  // "HF_TOKEN", or the file
  std::string endpoint;
};

// Whose token is used.
Result<HubIdentity> whoami();

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  // that lead to it
  size_t files = 0;
  uint64_t bytes = 0;
};

struct CachedRepo {
  std::string repo;
  std::filesystem::path folder;
  std::vector<CachedRevision> revisions;
  uint64_t bytes = 0;          // of all blobs
  uint64_t partial_bytes = 0;  // of downloads that were broken off, as they take space
  int64_t last_used = 0;       // seconds since 1970: the latest access to any blob
};

struct CacheReport {
  std::filesystem::path cache;
  std::vector<CachedRepo> repos;  // sorted by name
};

// What lies in the cache, models only.
Result<CacheReport> list_cache();

struct CacheRemoval {
  uint64_t bytes = 0;
  std::vector<std::string> removed;  // repositories, or files of broken-off downloads
};

// Removes repositories whole (not_found where the cache has not all of them; nothing is removed then).
Result<CacheRemoval> remove_from_cache(const std::vector<std::string>& repos);
// Removes what broken-off downloads of any client left, but for those that are running.
Result<CacheRemoval> remove_partial_downloads();

struct CacheFault {
  std::string repo;
  std::string file;  // relative to the repository's folder
  std::string what;  // "its content is not what its name says"
};

struct CacheCheck {
  size_t blobs = 0;
  uint64_t bytes = 0;
  std::vector<CacheFault> faults;
};

// Reads every blob of the repositories (empty: of all) and compares it with its name; looks for links that lead
// nowhere.
Result<CacheCheck> verify_cache(const std::vector<std::string>& repos, const DownloadHooks& hooks = {});

}  // namespace pippin

#include "hub/cache_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "hub/disk_file.h"
#include "hub/repo_name.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view cache_tag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache: backup programs may leave it out. See https://bford.info/cachedir/\n";

bool has_size(const fs::path& path, uint64_t size) {
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) == size && !error;
}

tl::unexpected<Error> failure(const std::error_code& error, std::string_view doing, const fs::path& path) {
  return tl::unexpected<Error>(download_disk_error(error.value(), doing, path));
}

// "../../blobs/ID" from snapshots/COMMIT/FILE, one more "../" for each folder of FILE.
fs::path link_target(const RepoFile& file) {
  std::string up = "../../";
  for (const char c : file.name) up += c == '/' ? "../" : "";
  return up + "blobs/" + file.content_id();
}

// A link that takes the place of whatever had its name, at once.
std::error_code replace_link(const fs::path& target, const fs::path& place) {
  const fs::path temporary = place.parent_path() / fmt::format(".{}-{}.link", ::getpid(), place.filename().string());
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (error) return error;
  fs::rename(temporary, place, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
  }
  return error;
}

}  // namespace

CacheFolder::CacheFolder(const HubSettings& settings, const std::string& repo)
    : cache_(settings.cache),
      folder_(settings.cache / cache_folder_name(repo)),
      locks_(settings.cache / ".locks" / cache_folder_name(repo)),
      symlinks_(settings.symlinks) {}

Status CacheFolder::prepare(const std::string& commit) const {
  PIPPIN_CHECK(make_folders(folder_ / "blobs"));
  PIPPIN_CHECK(make_folders(snapshot(commit)));
  PIPPIN_CHECK(make_folders(locks_));
  std::error_code ignored;
  if (fs::exists(cache_ / "CACHEDIR.TAG", ignored)) return {};
  return replace_file(cache_ / "CACHEDIR.TAG", cache_tag);
}

fs::path CacheFolder::partial(const std::string& content_id) const {
  return folder_ / "blobs" / (content_id + ".pippin.incomplete");
}

fs::path CacheFolder::lock(const std::string& content_id) const {
  return locks_ / (content_id + ".lock");
}

bool CacheFolder::has_file(const std::string& commit, const RepoFile& file) const {
  return has_size(snapshot(commit) / file.name, file.size);
}

bool CacheFolder::has_blob(const RepoFile& file) const {
  return has_size(blob(file.content_id()), file.size);
}

Status CacheFolder::adopt(const fs::path& partial, const RepoFile& file) const {
  std::error_code error;
  fs::rename(partial, blob(file.content_id()), error);
  if (error) return failure(error, "rename", partial);
  return {};
}

Status CacheFolder::link(const std::string& commit, const RepoFile& file, bool fresh) const {
  const fs::path place = snapshot(commit) / file.name;
  PIPPIN_CHECK(make_folders(place.parent_path()));
  if (symlinks_) {
    const auto error = replace_link(link_target(file), place);
    if (!error) return {};
    const int number = error.value();
    // NOLINTNEXTLINE(misc-redundant-expression): two numbers on macOS, one on Linux
    if (number != EPERM && number != ENOTSUP && number != EOPNOTSUPP && number != ENOSYS)
      return failure(error, "link", place);
  }
  std::error_code error;
  if (fresh) {
    fs::rename(blob(file.content_id()), place, error);
  } else {
    fs::copy_file(blob(file.content_id()), place, fs::copy_options::overwrite_existing, error);
  }
  if (error) return failure(error, "write", place);
  return {};
}

std::optional<std::string> CacheFolder::commit_of(const std::string& revision) const {
  if (is_commit_id(revision)) return revision;
  auto text = text_of_file(folder_ / "refs" / revision);
  if (!text) return std::nullopt;
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  if (!is_commit_id(*text)) return std::nullopt;
  return text;
}

Status CacheFolder::write_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return {};
  const fs::path path = folder_ / "refs" / revision;
  PIPPIN_CHECK(make_folders(path.parent_path()));
  return replace_file(path, commit);
}

std::optional<std::vector<RepoFile>> CacheFolder::tree(const std::string& commit) const {
  const auto text = text_of_file(folder_ / "trees" / (commit + ".json"));
  if (!text) return std::nullopt;
  auto files = parse_tree_file(*text);
  if (!files) return std::nullopt;
  std::ranges::sort(*files, {}, &RepoFile::name);
  return std::move(*files);
}

Status CacheFolder::write_tree(const std::string& commit, const std::vector<RepoFile>& files) const {
  PIPPIN_CHECK(make_folders(folder_ / "trees"));
  return replace_file(folder_ / "trees" / (commit + ".json"), tree_file_text(files));
}

}  // namespace pippin

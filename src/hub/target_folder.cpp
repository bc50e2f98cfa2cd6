#include "hub/target_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "hub/digest.h"
#include "hub/disk_file.h"

namespace pippin {
namespace fs = std::filesystem;

Result<bool> CacheTarget::has(const RepoFile& file) {
  if (cache_.has_file(commit_, file)) return true;
  if (!cache_.has_blob(file)) return false;
  PIPPIN_CHECK(cache_.link(commit_, file, false));
  return true;
}

fs::path CacheTarget::partial(const RepoFile& file) const {
  return cache_.partial(file.content_id());
}

fs::path CacheTarget::lock(const RepoFile& file) const {
  return cache_.lock(file.content_id());
}

Status CacheTarget::put(const fs::path& partial, const RepoFile& file) {
  PIPPIN_CHECK(cache_.adopt(partial, file));
  return cache_.link(commit_, file, true);
}

Status LocalTarget::prepare() const {
  const fs::path notes = folder_ / ".cache" / "huggingface";
  PIPPIN_CHECK(make_folders(notes / "download"));
  std::error_code ignored;
  if (fs::exists(notes / ".gitignore", ignored)) return {};
  return replace_file(notes / ".gitignore", "*");
}

fs::path LocalTarget::note_path(const RepoFile& file, const char* extension) const {
  return folder_ / ".cache" / "huggingface" / "download" / (file.name + extension);
}

Result<bool> LocalTarget::has(const RepoFile& file) {
  const fs::path path = folder_ / file.name;
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) != file.size || error) return false;
  if (is_noted(file)) return true;
  PIPPIN_TRY(const DiskFile opened, DiskFile::open(path, O_RDONLY));
  PIPPIN_TRY(const std::string id, content_id_of(opened.number(), file.size, file.content_id(), path.string()));
  if (id != file.content_id()) return false;
  PIPPIN_CHECK(write_note(file));
  return true;
}

// Three lines: commit, content's id, time. It counts while the file has not been touched since.
bool LocalTarget::is_noted(const RepoFile& file) const {
  const auto text = text_of_file(note_path(file, ".metadata"));
  struct stat status {};
  if (!text || ::stat((folder_ / file.name).c_str(), &status) != 0) return false;
  std::istringstream lines(*text);
  std::string commit;
  std::string id;
  std::string time;
  std::getline(lines, commit);
  std::getline(lines, id);
  std::getline(lines, time);
  return id == file.content_id() && static_cast<double>(status.st_mtime) - 1 <= std::strtod(time.c_str(), nullptr);
}

Status LocalTarget::write_note(const RepoFile& file) const {
  const fs::path path = note_path(file, ".metadata");
  PIPPIN_CHECK(make_folders(path.parent_path()));
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return replace_file(path, fmt::format("{}\n{}\n{:.6f}\n", commit_, file.content_id(), now));
}

fs::path LocalTarget::partial(const RepoFile& file) const {
  return note_path(file, fmt::format(".{}.pippin.incomplete", file.content_id()).c_str());
}

fs::path LocalTarget::lock(const RepoFile& file) const {
  return note_path(file, ".lock");
}

Status LocalTarget::put(const fs::path& partial, const RepoFile& file) {
  const fs::path place = folder_ / file.name;
  PIPPIN_CHECK(make_folders(place.parent_path()));
  std::error_code error;
  fs::rename(partial, place, error);
  if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "write", place));
  return write_note(file);
}

}  // namespace pippin

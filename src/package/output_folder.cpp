#include "package/output_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "package/destination.h"
#include "package/replaceable.h"
#include "plan/journal_file.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

Status make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return tl::unexpected<Error>(disk_error(error.value(), "create", folder));
  return {};
}

Status empty_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    entries.push_back(entry->path());
  for (const auto& entry : entries)
    if (!error) fs::remove_all(entry, error);
  if (error) return tl::unexpected<Error>(disk_error(error.value(), "empty", folder));
  return {};
}

uint64_t bytes_taken_in(const fs::path& folder) {
  constexpr uint64_t block = 512;
  uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    struct stat status {};
    if (lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += static_cast<uint64_t>(status.st_blocks) * block;
  }
  return bytes;
}

Status check_destination(const fs::path& destination, const OutputFolderOptions& options) {
  auto vacant = check_vacant(destination);
  if (vacant || !options.overwrite) return vacant;
  return check_replaceable(destination, options.side_files);
}

}  // namespace

OutputFolder::OutputFolder(OutputFolder&& other) noexcept
    : paths_(std::move(other.paths_)),
      lock_(std::exchange(other.lock_, std::nullopt)),
      options_(std::move(other.options_)),
      warnings_(std::move(other.warnings_)) {}

Result<OutputFolder> OutputFolder::prepare(const fs::path& destination, const fs::path& source,
                                           OutputFolderOptions options) {
  PIPPIN_TRY(const auto resolved, resolve_destination(destination));
  PIPPIN_CHECK(check_place(resolved, source));
  const auto paths = swap_paths_of(resolved);
  PIPPIN_CHECK(check_destination(resolved, options));
  PIPPIN_CHECK(make_folders(paths.fresh));
  PIPPIN_TRY(auto lock, FolderLock::acquire(paths.fresh));
  OutputFolder folder(paths, std::move(lock), std::move(options));
  PIPPIN_CHECK(mend_swap(paths));
  PIPPIN_CHECK(check_destination(resolved, folder.options_));
  PIPPIN_CHECK(folder.take_over_partial());
  return folder;
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (lock_ && fs::is_empty(paths_.fresh, ignored)) fs::remove(paths_.fresh, ignored);
}

Status OutputFolder::take_over_partial() {
  std::error_code error;
  if (fs::is_empty(paths_.fresh, error)) return {};
  const bool has_journal = fs::exists(paths_.fresh / journal_file, error);
  if (has_journal && options_.resume) return {};
  if (has_journal)
    warnings_.push_back("the unfinished output of an earlier run was removed; --resume goes on from it instead");
  // Without a journal it may be the older model of a swap that was killed.
  if (!has_journal && !check_replaceable(paths_.fresh, options_.side_files))
    return fail(ErrorTag::destination, "the partial folder holds pippin's files only",
                paths_.fresh.string() + " holds other files", "move them away");
  return empty_folder(paths_.fresh);
}

Status OutputFolder::check_space(uint64_t bytes) const {
  std::error_code error;
  const auto space = fs::space(paths_.fresh, error);
  if (error) return {};
  const uint64_t taken = bytes_taken_in(paths_.fresh);
  if (bytes <= taken || bytes - taken <= space.available) return {};
  return fail(ErrorTag::no_space, "the output fits on the disk",
              fmt::format("{} needs {} more bytes, {} are free", paths_.fresh.parent_path().string(), bytes - taken,
                          space.available),
              "free some space, or write to another disk");
}

Result<std::vector<std::string>> OutputFolder::commit() {
  if (options_.flush) PIPPIN_CHECK(flush_tree_to_disk(paths_.fresh));
  PIPPIN_CHECK(check_destination(paths_.destination, options_));
  // The older folder comes to lie at the partial folder's name, where no other run may take it up.
  const auto older_lock = FolderLock::acquire(paths_.destination);
  PIPPIN_TRY(const auto older, swap_in(paths_, options_.swap));
  lock_.reset();

  std::vector<std::string> warnings;
  std::error_code error;
  fs::remove(paths_.destination / journal_file, error);
  if (error) warnings.push_back(disk_error(error.value(), "remove", paths_.destination / journal_file).value);
  if (!older) return warnings;
  if (const auto retired = retire(*older, paths_, options_.swap); !retired)
    warnings.push_back("the old output is not all removed: " + retired.error().value);
  return warnings;
}

Status OutputFolder::empty() const {
  return empty_folder(paths_.fresh);
}

Status OutputFolder::discard() {
  std::error_code error;
  fs::remove_all(paths_.fresh, error);
  lock_.reset();
  if (error) return tl::unexpected<Error>(disk_error(error.value(), "remove", paths_.fresh));
  return {};
}

}  // namespace pippin

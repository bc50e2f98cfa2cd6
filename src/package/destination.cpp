#include "package/destination.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

namespace pippin {
namespace fs = std::filesystem;
namespace {

// By file identity, so that links, bind mounts and disks that take no notice of case are seen through.
bool is_same_or_inside(fs::path path, const fs::path& folder) {
  std::error_code ignored;
  while (true) {
    if (fs::equivalent(path, folder, ignored)) return true;
    if (!path.has_relative_path()) return false;
    path = path.parent_path();
  }
}

bool is_mount_point(const fs::path& folder) {
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx extended {};
  if (statx(AT_FDCWD, folder.c_str(), 0, 0, &extended) == 0 &&
      (extended.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (extended.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#endif
  struct stat inside {};
  struct stat above {};
  return stat(folder.c_str(), &inside) == 0 && stat(folder.parent_path().c_str(), &above) == 0 &&
         inside.st_dev != above.st_dev;
}

tl::unexpected<Error> overlap(const fs::path& destination, std::string_view relation, const fs::path& source) {
  return fail(ErrorTag::destination, "the output and the source are apart",
              fmt::format("the destination {} {} {}", destination.string(), relation, source.string()),
              "choose a folder outside the source");
}

Status check_links(const fs::path& destination, const fs::path& source) {
  std::error_code error;
  for (auto entry = fs::directory_iterator(source, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code unresolved;
    const auto target = fs::canonical(entry->path(), unresolved);
    if (!unresolved && entry->is_symlink(unresolved) && is_same_or_inside(target, destination))
      return overlap(destination, "holds what the source links to:", entry->path());
  }
  return {};
}

}  // namespace

Result<fs::path> resolve_destination(const fs::path& destination) {
  constexpr const char* rule = "the destination names a folder";
  if (destination.empty()) return fail(ErrorTag::destination, rule, "the destination is empty", "give a folder");
  std::error_code error;
  auto absolute = fs::absolute(destination, error);
  if (!error && !absolute.has_filename()) absolute = absolute.parent_path();
  if (!error && fs::is_symlink(absolute, error) && !fs::exists(absolute, error))
    return fail(ErrorTag::destination, rule, absolute.string() + " is a link to nothing", "remove the link");
  auto resolved = fs::weakly_canonical(absolute, error).lexically_normal();
  if (error)
    return fail(ErrorTag::destination, rule, fmt::format("{}: {}", destination.string(), error.message()),
                "choose another folder");
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  if (!resolved.has_filename())
    return fail(ErrorTag::destination, rule, resolved.string() + " is the root", "give a folder in it");
  return resolved;
}

SwapPaths swap_paths_of(const fs::path& destination) {
  const auto sibling = [&](const char* role) {
    return destination.parent_path() / fmt::format(".{}.pippin-{}", destination.filename().string(), role);
  };
  return {sibling("partial"), destination, sibling("old"), sibling("waste")};
}

Status check_place(const fs::path& destination, const fs::path& source) {
  std::error_code error;
  const auto resolved_source = fs::canonical(source, error);
  if (error)
    return fail(ErrorTag::not_found, "the source is there", fmt::format("{}: {}", source.string(), error.message()));
  if (fs::equivalent(destination, resolved_source, error)) return overlap(destination, "is the source", source);
  if (is_same_or_inside(destination, resolved_source)) return overlap(destination, "lies inside the source", source);
  if (is_same_or_inside(resolved_source, destination)) return overlap(destination, "holds the source", source);
  if (is_same_or_inside(resolved_source, swap_paths_of(destination).fresh))
    return overlap(destination, "is written by way of a folder that holds the source", source);

  const auto status = fs::status(destination, error);
  if (!fs::exists(status)) return {};
  if (!fs::is_directory(status))
    return fail(ErrorTag::destination, "the destination is a folder", destination.string() + " is no folder",
                "choose another name");
  if (is_mount_point(destination))
    return fail(ErrorTag::destination, "the destination can be renamed", destination.string() + " is a mount point",
                "give a folder in it, such as " + (destination / "mlx_model").string());
  return check_links(destination, resolved_source);
}

Status check_vacant(const fs::path& destination) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(destination, error))) return {};
  if (fs::is_directory(destination, error) && fs::is_empty(destination, error) && !error) return {};
  return fail(ErrorTag::destination, "the destination is new or empty", destination.string() + " exists",
              "choose another folder, or replace it with --overwrite");
}

}  // namespace pippin

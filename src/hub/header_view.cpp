#include "hub/header_view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "hub/disk_file.h"
#include "hub/remote_file.h"
#include "source/quoted_text.h"
#include "source/safetensors.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t first_read = 100000;  // holds the whole header of nearly all files
constexpr uint64_t largest_header = 100000000;
constexpr uint64_t largest_small_tensor = uint64_t{1} << 20;
constexpr size_t most_threads = 8;

bool is_weight_file(const RepoFile& file) {
  return file.name.ends_with(".safetensors");
}

bool is_whole_number(DType dtype) {
  return dtype == DType::I32 || dtype == DType::U32 || dtype == DType::I64 || dtype == DType::U64;
}

// What is fetched of one file goes to its own place in the sparse copy.
class HeaderFetch {
 public:
  HeaderFetch(RemoteFile& remote, const DiskFile& file) : remote_(remote), file_(file) {}

  Status run() {
    const uint64_t size = remote_.file().size;
    PIPPIN_CHECK(file_.set_size(size));
    PIPPIN_CHECK(get(0, std::min(size, first_read)));
    if (size < 8) return {};  // no safetensors file; the reader says so
    std::array<std::byte, 8> field{};
    PIPPIN_CHECK(file_.read(0, field));
    uint64_t length = 0;
    for (size_t i = 0; i < field.size(); ++i) length |= static_cast<uint64_t>(field[i]) << (8 * i);
    if (length > largest_header || length > size - 8) return {};
    if (8 + length > first_read) PIPPIN_CHECK(get(first_read, 8 + length));
    std::string text(static_cast<size_t>(length), '\0');
    PIPPIN_CHECK(file_.read(8, std::as_writable_bytes(std::span(text))));
    const auto header = parse_safetensors_header(text, size - 8 - length, remote_.file().name);
    if (!header) return {};
    for (const auto& entry : header->entries) {
      const bool is_small = entry.shape.size() == 1 && entry.size > 0 && entry.size <= largest_small_tensor;
      if (is_small && is_whole_number(entry.dtype)) PIPPIN_CHECK(get(entry.offset, entry.offset + entry.size));
    }
    return {};
  }

 private:
  Status get(uint64_t begin, uint64_t end) {
    if (begin >= end) return {};
    return remote_.read(
        begin, end, [this](uint64_t offset, std::span<const std::byte> bytes) { return file_.write(offset, bytes); });
  }

  RemoteFile& remote_;
  const DiskFile& file_;
};

}  // namespace

HeaderView::HeaderView(fs::path folder, std::vector<RepoFile> lacking)
    : folder_(std::move(folder)), lacking_(std::move(lacking)) {}

HeaderView::HeaderView(HeaderView&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), lacking_(std::move(other.lacking_)) {}

HeaderView::~HeaderView() {
  if (folder_.empty()) return;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<HeaderView> HeaderView::make(const fs::path& snapshot, const std::vector<RepoFile>& files) {
  std::error_code error;
  std::string pattern = (fs::temp_directory_path(error) / "pippin-headers-XXXXXX").string();
  if (error || ::mkdtemp(pattern.data()) == nullptr)
    return tl::unexpected<Error>(download_disk_error(errno, "create", pattern));
  HeaderView view(pattern, {});
  for (const auto& file : files) {
    const fs::path place = view.folder_ / file.name;
    const bool is_there = fs::is_regular_file(snapshot / file.name, error);
    if (!is_there && !is_weight_file(file)) continue;
    PIPPIN_CHECK(make_folders(place.parent_path()));
    if (is_there) {
      fs::create_symlink(fs::absolute(snapshot / file.name), place, error);
      if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "link", place));
    } else {
      PIPPIN_TRY(const DiskFile created, DiskFile::open(place, O_WRONLY | O_CREAT));
      view.lacking_.push_back(file);
    }
  }
  return view;
}

Status HeaderView::fetch(HubSession& session, const std::string& repo, const std::string& commit,
                         const std::vector<std::string>& names) const {
  std::vector<RepoFile> wanted;
  for (const auto& file : lacking_) {
    if (std::ranges::find(names, file.name) != names.end()) wanted.push_back(file);
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  const auto work = [&] {
    for (size_t i = next++; i < wanted.size(); i = next++) {
      const auto status = [&]() -> Status {
        RemoteFile remote(session, repo, commit, wanted[i]);
        PIPPIN_TRY(const DiskFile file, DiskFile::open(folder_ / wanted[i].name, O_RDWR));
        HeaderFetch header(remote, file);
        return header.run();
      }();
      if (status) continue;
      const std::lock_guard lock(mutex);
      if (!error) error = status.error();
      next = wanted.size();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(most_threads, wanted.size()); ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  if (error) return tl::unexpected<Error>(std::move(*error));
  return {};
}

}  // namespace pippin

#include "hub/header_view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
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
  HeaderFetch(RemoteFile& remote, const DiskFile& file, const std::function<void(uint64_t, uint64_t)>& fetched)
      : remote_(remote), file_(file), fetched_(fetched) {}

  [[nodiscard]] Status run() const {
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
    const bool is_packed =
        std::ranges::any_of(header->entries, [](const auto& e) { return e.name.ends_with(".qweight"); });
    for (const auto& entry : header->entries) {
      const bool is_small = entry.shape.size() == 1 && entry.size > 0 && entry.size <= largest_small_tensor;
      const bool is_read = is_whole_number(entry.dtype) || (is_packed && entry.name.ends_with(".bias"));
      if (is_small && is_read) PIPPIN_CHECK(get(entry.offset, entry.offset + entry.size));
    }
    return {};
  }

 private:
  [[nodiscard]] Status get(uint64_t begin, uint64_t end) const {
    if (begin >= end) return {};
    PIPPIN_CHECK(remote_.read(
        begin, end, [this](uint64_t offset, std::span<const std::byte> bytes) { return file_.write(offset, bytes); }));
    fetched_(begin, end);
    return {};
  }

  RemoteFile& remote_;
  const DiskFile& file_;
  const std::function<void(uint64_t, uint64_t)>& fetched_;
};

}  // namespace

// A weight file of the view. A read of a hole fetches it.
class HeaderView::Source final : public ByteSource {
 public:
  Source(HubSession& session, const std::string& repo, const std::string& commit, const RepoFile& file, fs::path path,
         std::optional<Ranges> fetched)
      : remote_(session, repo, commit, file), path_(std::move(path)), fetched_(std::move(fetched)) {}

  [[nodiscard]] Status read(uint64_t offset, std::span<std::byte> out) const override {
    if (offset > size() || out.size() > size() - offset)
      return fail(ErrorTag::io, "a read lies inside its file", name());
    const std::lock_guard lock(mutex_);
    // There may be hundreds of files: none stays open.
    PIPPIN_TRY(const DiskFile file, DiskFile::open(path_, fetched_ ? O_RDWR : O_RDONLY));
    if (!out.empty() && !is_here(offset, offset + out.size())) {
      PIPPIN_CHECK(remote_.read(offset, offset + out.size(),
                                [&](uint64_t at, std::span<const std::byte> bytes) { return file.write(at, bytes); }));
      fetched_->push_back({offset, offset + out.size()});
    }
    return file.read(offset, out);
  }
  void will_need(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  void done_with(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  // As that of the file when it arrives: both have the bytes of the same content.
  [[nodiscard]] std::string identity() const override { return identity_of(remote_.file()); }
  [[nodiscard]] uint64_t size() const override { return remote_.file().size; }
  [[nodiscard]] const std::string& name() const override { return remote_.file().name; }

 private:
  [[nodiscard]] bool is_here(uint64_t begin, uint64_t end) const {
    return !fetched_ ||
           std::ranges::any_of(*fetched_, [&](const Range& r) { return r.begin <= begin && end <= r.end; });
  }

  mutable std::mutex mutex_;
  mutable RemoteFile remote_;
  fs::path path_;
  mutable std::optional<Ranges> fetched_;  // nothing: all is there
};

HeaderView::HeaderView(fs::path folder, std::vector<RepoFile> lacking)
    : folder_(std::move(folder)),
      lacking_(std::move(lacking)),
      fetched_(std::make_shared<std::map<std::string, Ranges>>()) {}

HeaderView::HeaderView(HeaderView&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      lacking_(std::move(other.lacking_)),
      fetched_(std::move(other.fetched_)) {}

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
      PIPPIN_CHECK(view.link(snapshot / file.name, place));
    } else {
      PIPPIN_TRY(const DiskFile created, DiskFile::open(place, O_WRONLY | O_CREAT));
      view.lacking_.push_back(file);
    }
  }
  return view;
}

Status HeaderView::link(const fs::path& from, const fs::path& place) const {
  PIPPIN_CHECK(make_folders(place.parent_path()));
  std::error_code error;
  fs::create_symlink(fs::absolute(from), place, error);
  if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "link", place));
  return {};
}

Status HeaderView::link_new(const fs::path& snapshot, const std::vector<RepoFile>& files) const {
  std::error_code error;
  for (const auto& file : files) {
    const bool is_new =
        !fs::exists(fs::symlink_status(folder_ / file.name, error)) && fs::is_regular_file(snapshot / file.name, error);
    if (is_new) PIPPIN_CHECK(link(snapshot / file.name, folder_ / file.name));
  }
  return {};
}

OpenSource HeaderView::sources(HubSession& session, const std::string& repo, const std::string& commit,
                               const std::vector<RepoFile>& files) const {
  return [this, &session, repo, commit, files](const std::string& path) -> Result<std::unique_ptr<ByteSource>> {
    const auto file = std::ranges::find_if(files, [&](const RepoFile& f) { return (folder_ / f.name) == path; });
    if (file == files.end()) return open_file(path);
    const auto fetched = fetched_->find(file->name);
    const bool is_sparse = fetched != fetched_->end();
    return std::make_unique<Source>(session, repo, commit, *file, path,
                                    is_sparse ? std::optional(fetched->second) : std::nullopt);
  };
}

Status HeaderView::fetch(HubSession& session, const std::string& repo, const std::string& commit,
                         const std::vector<std::string>& names) const {
  std::vector<RepoFile> wanted;
  for (const auto& file : lacking_) {
    if (std::ranges::find(names, file.name) != names.end()) wanted.push_back(file);
  }
  for (const auto& file : wanted) fetched_->try_emplace(file.name);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  const auto work = [&] {
    for (size_t i = next++; i < wanted.size(); i = next++) {
      const auto status = [&]() -> Status {
        RemoteFile remote(session, repo, commit, wanted[i]);
        PIPPIN_TRY(const DiskFile file, DiskFile::open(folder_ / wanted[i].name, O_RDWR));
        Ranges& ranges = fetched_->at(wanted[i].name);
        const std::function<void(uint64_t, uint64_t)> fetched = [&](uint64_t begin, uint64_t end) {
          ranges.push_back({begin, end});
        };
        const HeaderFetch header(remote, file, fetched);
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

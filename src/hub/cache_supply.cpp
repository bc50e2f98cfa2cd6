#include "hub/cache_supply.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace pippin {

CacheSupply::CacheSupply(HubSession& session, const CacheFolder& cache, std::string repo, std::string commit,
                         std::vector<RepoFile> files, FetchOptions options)
    : session_(session),
      cache_(cache),
      repo_(std::move(repo)),
      commit_(std::move(commit)),
      options_(std::move(options)),
      target_(cache_, commit_) {
  for (auto& file : files) files_.push_back({.file = std::move(file)});
}

CacheSupply::~CacheSupply() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    if (!has_ended_) session_.stop();
  }
  thread_.join();
}

Result<std::vector<std::unique_ptr<ByteSource>>> CacheSupply::begin(const std::filesystem::path& folder, bool resume) {
  std::vector<RepoFile> wanted;
  for (const auto& file : files_) wanted.push_back(file.file);
  std::vector<ArrivalNote> notes;
  PIPPIN_CHECK(notes_.open(folder, wanted, resume, notes));
  FileSupplier& supplier = *this;
  std::vector<std::unique_ptr<ByteSource>> sources;
  for (size_t i = 0; i < files_.size(); ++i) {
    File& file = files_[i];
    file.generation = PartialFile::generation_of(target_.partial(file.file), file.file.size);
    file.was_noted_whole = notes[i].whole;
    file.is_trusted = notes[i].whole || (notes[i].generation != 0 && notes[i].generation == file.generation);
    sources.push_back(std::make_unique<SuppliedFile>(supplier, i, file.file));
  }
  return sources;
}

// Not before the first read: until then the conversion brings its journal into line with trusted_bytes(), and nothing
// may be noted.
void CacheSupply::start() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(has_begun_, true)) return;
  options_.observer = this;
  thread_ = std::thread([this] { fetch_all(); });
}

void CacheSupply::fetch_all() {
  std::vector<RepoFile> wanted;
  for (const auto& file : files_) wanted.push_back(file.file);
  auto report = fetch(session_, repo_, commit_, wanted, target_, options_);
  const std::lock_guard lock(mutex_);
  if (report)
    fetched_ = report->bytes;
  else
    error_ = std::move(report).error();
  has_ended_ = true;
  changed_.notify_all();
}

uint64_t CacheSupply::trusted_bytes(size_t file) const {
  const std::lock_guard lock(mutex_);
  return files_[file].is_trusted ? files_[file].file.size : 0;
}

Status CacheSupply::note_wrong(File& file, size_t number) {
  file.was_wrong = true;
  file.is_void = true;
  return notes_.wrong(number);
}

Status CacheSupply::opened(size_t number, const PartialFile& partial) {
  const std::lock_guard lock(mutex_);
  File& file = files_[number];
  const bool is_other = partial.generation() != file.generation || partial.generation() == 0;
  if (is_other && (file.was_read || file.is_trusted)) PIPPIN_CHECK(note_wrong(file, number));
  file.generation = partial.generation();
  file.path = partial.path();
  file.piece_size = partial.piece_size();
  file.there.assign(partial.piece_count(), 0);
  for (size_t piece = 0; piece < file.there.size(); ++piece) file.there[piece] = partial.noted(piece);
  ++file.times_opened;
  if (!file.is_void) PIPPIN_CHECK(notes_.partial(number, partial.generation()));
  changed_.notify_all();
  return {};
}

void CacheSupply::arrived(size_t file, size_t piece, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(files_[file].there[piece], bytes) != bytes) changed_.notify_all();
}

// From here to opened(), readers wait; a read in progress that meets the end of the emptied file is tried again.
void CacheSupply::wrong(size_t number) {
  const std::lock_guard lock(mutex_);
  files_[number].there.clear();
  ++files_[number].times_opened;
}

Status CacheSupply::whole(size_t number) {
  const std::lock_guard lock(mutex_);
  File& file = files_[number];
  // Another process completed what an earlier run read a part of; whether with the same bytes is not known.
  if (file.times_opened == 0 && file.is_trusted && !file.was_noted_whole) PIPPIN_CHECK(note_wrong(file, number));
  if (!file.is_void) PIPPIN_CHECK(notes_.whole(number));
  file.is_whole = true;
  file.path = cache_.snapshot(commit_) / file.file.name;
  changed_.notify_all();
  return {};
}

bool CacheSupply::is_there(const File& file, uint64_t begin, uint64_t end) const {
  if (file.is_whole) return true;
  if (file.there.empty()) return false;
  for (uint64_t piece = begin / file.piece_size; piece * file.piece_size < end; ++piece) {
    const uint64_t needed = std::min(end - piece * file.piece_size, file.piece_size);
    if (file.there[static_cast<size_t>(piece)] < needed) return false;
  }
  return true;
}

Status CacheSupply::wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done) {
  changed_.wait(lock, [&] { return error_ || done(); });
  if (error_) return tl::unexpected<Error>(*error_);
  return {};
}

// Where a file is changes in the moment in which it takes its place in the cache.
Result<DiskFile> CacheSupply::open(const File& file) const {
  auto opened = DiskFile::open(file.path, O_RDONLY);
  if (!opened) opened = DiskFile::open(cache_.blob(file.file.content_id()), O_RDONLY);
  if (!opened) opened = DiskFile::open(cache_.snapshot(commit_) / file.file.name, O_RDONLY);
  return opened;
}

Status CacheSupply::read(size_t number, uint64_t offset, std::span<std::byte> out) {
  start();
  while (true) {
    std::unique_lock lock(mutex_);
    File& file = files_[number];
    PIPPIN_CHECK(wait(lock, [&] { return is_there(file, offset, offset + out.size()); }));
    file.was_read = true;
    const uint64_t times_opened = file.times_opened;
    if (!file.open) {
      PIPPIN_TRY(DiskFile opened, open(file));
      file.open = std::make_shared<const DiskFile>(std::move(opened));
    }
    const std::shared_ptr<const DiskFile> open = file.open;
    lock.unlock();
    auto status = open->read(offset, out);
    if (status) return status;
    lock.lock();
    // Where it was wrong meanwhile, it comes anew.
    if (file.times_opened == times_opened) return status;
  }
}

void CacheSupply::change_uses(size_t number, uint64_t /*offset*/, uint64_t /*size*/, int by) {
  const std::lock_guard lock(mutex_);
  File& file = files_[number];
  file.uses += static_cast<uint64_t>(by);
  if (file.uses == 0) file.open.reset();
}

Result<std::vector<size_t>> CacheSupply::confirm(bool all) {
  start();
  std::unique_lock lock(mutex_);
  PIPPIN_CHECK(wait(lock, [&] {
    return std::ranges::all_of(files_, [&](const File& file) { return file.is_whole || !(all || file.was_read); });
  }));
  std::vector<size_t> wrong;
  for (size_t i = 0; i < files_.size(); ++i) {
    File& file = files_[i];
    file.is_trusted = !std::exchange(file.was_wrong, false);
    if (!file.is_trusted) wrong.push_back(i);
  }
  return wrong;
}

Result<std::optional<bool>> CacheSupply::are_same(const Range& a, const Range& b) {
  constexpr uint64_t block = uint64_t{1} << 20;
  std::vector<std::byte> left(static_cast<size_t>(std::min(block, a.size))), right(left.size());
  for (uint64_t at = 0; at < a.size; at += block) {
    const auto size = static_cast<size_t>(std::min(block, a.size - at));
    if (session_.is_stopped()) return fail(ErrorTag::interrupted, "", "interrupted", "run it again");
    PIPPIN_CHECK(read(a.file, a.offset + at, std::span(left).first(size)));
    PIPPIN_CHECK(read(b.file, b.offset + at, std::span(right).first(size)));
    if (std::memcmp(left.data(), right.data(), size) != 0) return std::optional(false);
  }
  return std::optional(true);
}

uint64_t CacheSupply::bytes_fetched() const {
  const std::lock_guard lock(mutex_);
  return fetched_;
}

}  // namespace pippin

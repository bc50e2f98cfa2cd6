#include "hub/spool_supply.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr const char* spool_folder = ".pippin-spool";
constexpr uint64_t block_size = uint64_t{1} << 20;
constexpr auto progress_every = std::chrono::milliseconds(100);

Error interrupted() {
  return {ErrorTag::interrupted, "", "interrupted", "run it again: what is converted is kept", {}};
}

}  // namespace

SpoolSupply::SpoolSupply(HubSession& session, const std::string& repo, const std::string& commit,
                         std::vector<SpoolFile> files, SpoolOptions options)
    : session_(session), options_(std::move(options)) {
  for (auto& file : files) {
    File& added = files_.emplace_back(session_, repo, commit, std::move(file));
    added.pieces.resize(static_cast<size_t>((added.file.size + options_.piece_size - 1) / options_.piece_size));
  }
}

SpoolSupply::~SpoolSupply() {
  {
    const std::lock_guard lock(mutex_);
    const bool all_done = std::ranges::all_of(files_, &File::is_done);
    if (is_running_ && !all_done) session_.stop();
  }
  stop();
}

Result<std::vector<std::unique_ptr<ByteSource>>> SpoolSupply::begin(const fs::path& folder, bool resume) {
  folder_ = folder / spool_folder;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  PIPPIN_CHECK(make_folders(folder_));
  std::vector<RepoFile> wanted;
  for (const auto& file : files_) wanted.push_back(file.file);
  std::vector<ArrivalNote> notes;
  PIPPIN_CHECK(notes_.open(folder, wanted, resume, notes));
  FileSupplier& supplier = *this;
  std::vector<std::unique_ptr<ByteSource>> sources;
  for (size_t i = 0; i < files_.size(); ++i) {
    // States between the pieces of this run would not be met again.
    std::erase_if(notes[i].states, [&](const auto& state) {
      return state.first % options_.piece_size != 0 && state.first != files_[i].file.size;
    });
    files_[i].note = std::move(notes[i]);
    sources.push_back(std::make_unique<SuppliedFile>(supplier, i, files_[i].file));
  }
  return sources;
}

Status SpoolSupply::end() {
  stop();
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "remove", folder_));
  return notes_.remove();
}

fs::path SpoolSupply::path_of(size_t file, size_t piece) const {
  return folder_ / fmt::format("{}-{}", file, piece);
}

uint64_t SpoolSupply::size_of(const File& file, size_t piece) const {
  return std::min(options_.piece_size, file.file.size - piece * options_.piece_size);
}

uint64_t SpoolSupply::trusted_bytes(size_t number) const {
  const std::lock_guard lock(mutex_);
  const File& file = files_[number];
  if (file.note.whole || !file.local.empty()) return file.file.size;
  return file.note.states.empty() ? 0 : file.note.states.rbegin()->first;
}

// ---- readers

void SpoolSupply::change_uses(size_t number, uint64_t offset, uint64_t size, int by) {
  if (size == 0) return;
  const std::lock_guard lock(mutex_);
  File& file = files_[number];
  if (!file.local.empty()) return;
  for (uint64_t piece = offset / options_.piece_size; piece * options_.piece_size < offset + size; ++piece) {
    uint32_t& uses = file.pieces[static_cast<size_t>(piece)].uses;
    // After confirm() there are none left to end.
    if (by > 0 || uses > 0) uses += static_cast<uint32_t>(by);
    if (uses == 0) release_locked(number, static_cast<size_t>(piece));
  }
}

void SpoolSupply::release_locked(size_t number, size_t index) {
  Piece& piece = files_[number].pieces[index];
  if (!piece.is_counted || piece.uses > 0 || piece.there == 0) return;
  std::error_code ignored;
  fs::remove(path_of(number, index), ignored);
  spooled_ -= size_of(files_[number], index);
  piece.there = 0;
  changed_.notify_all();
}

// The bytes that nobody uses and whose digest is to come.
uint64_t SpoolSupply::leaving_locked() const {
  uint64_t bytes = 0;
  for (size_t i = counted_.first; i < files_.size() && i <= next_file_; ++i) {
    const auto& pieces = files_[i].pieces;
    size_t piece = std::max(files_[i].first_piece, i == counted_.first ? counted_.second : 0);
    for (; piece < pieces.size() && pieces[piece].is_given; ++piece) {
      if (pieces[piece].uses == 0) bytes += size_of(files_[i], piece);
    }
  }
  return bytes;
}

Status SpoolSupply::read(size_t number, uint64_t offset, std::span<std::byte> out) {
  const fs::path& local = files_[number].local;
  if (!local.empty()) {
    PIPPIN_TRY(const DiskFile file, DiskFile::open(local, O_RDONLY));
    return file.read(offset, out);
  }
  start();
  while (!out.empty()) {
    const auto piece = static_cast<size_t>(offset / options_.piece_size);
    const uint64_t in_piece = offset % options_.piece_size;
    const auto size = static_cast<size_t>(std::min<uint64_t>(out.size(), options_.piece_size - in_piece));
    PIPPIN_CHECK(read_piece(number, piece, in_piece, out.first(size)));
    offset += size;
    out = out.subspan(size);
  }
  return {};
}

Status SpoolSupply::read_piece(size_t number, size_t piece, uint64_t offset, std::span<std::byte> out) {
  {
    std::unique_lock lock(mutex_);
    File& file = files_[number];
    if (file.pieces[piece].uses == 0 || piece < file.first_piece) {
      return fail(
          ErrorTag::io, "only what was announced is read",
          fmt::format("{}: {} bytes from {}", file.file.name, out.size(), piece * options_.piece_size + offset));
    }
    if (file.pieces[piece].there < offset + out.size() && wanted_ < std::pair(number, piece)) {
      wanted_ = {number, piece};
      changed_.notify_all();
    }
    PIPPIN_CHECK(wait(lock, [&] { return file.pieces[piece].there >= offset + out.size(); }));
    file.was_read = true;
  }
  PIPPIN_TRY(const DiskFile disk, DiskFile::open(path_of(number, piece), O_RDONLY));
  return disk.read(offset, out);
}

Status SpoolSupply::wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done) {
  while (!error_ && !done()) {
    if (session_.is_stopped()) return tl::unexpected<Error>(interrupted());
    changed_.wait_for(lock, progress_every);
  }
  if (error_) return tl::unexpected<Error>(*error_);
  return {};
}

// ---- beginning and ending

// A file is fetched from the last piece on that has a state of the digest and nothing before it that is needed.
void SpoolSupply::place_locked(File& file, size_t number) {
  const auto used = std::ranges::find_if(file.pieces, [](const Piece& piece) { return piece.uses > 0; });
  const bool is_used = used != file.pieces.end();
  file.is_done = !file.local.empty() || (file.note.whole && !is_used);
  file.was_wrong = false;
  file.is_void = false;
  file.first_piece = file.pieces.size();
  if (file.is_done) return;
  const auto first_used = static_cast<uint64_t>(used - file.pieces.begin()) * options_.piece_size;
  uint64_t begin = 0;
  for (const auto& [position, state] : file.note.states) {
    RunningDigest digest(file.file.content_id(), file.file.size);
    if (position <= first_used && position % options_.piece_size == 0 && digest.restore(position, state))
      begin = position;
  }
  file.first_piece = static_cast<size_t>(begin / options_.piece_size);
  to_fetch_ += file.file.size - std::min(begin, file.file.size);
  for (auto& [range, compared] : compared_) {
    if (range.file == number && begin <= range.offset)
      compared = {range.offset, RunningDigest(std::string(64, '0'), range.size), {}};
  }
}

void SpoolSupply::start() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(is_running_, true)) return;
  is_ending_ = false;
  next_file_ = 0;
  counted_ = wanted_ = {};
  for (size_t i = 0; i < files_.size(); ++i) {
    for (auto& piece : files_[i].pieces) piece = {.uses = piece.uses};
    place_locked(files_[i], i);
  }
  threads_.emplace_back([this] { count_digests(); });
  for (int i = 0; i < std::clamp(options_.connections, 1, 64); ++i) threads_.emplace_back([this] { fetch_pieces(); });
}

void SpoolSupply::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    changed_.notify_all();
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  const std::lock_guard lock(mutex_);
  is_running_ = false;
  for (size_t i = 0; i < files_.size(); ++i) {
    for (size_t piece = 0; piece < files_[i].pieces.size(); ++piece) {
      files_[i].pieces[piece].is_counted = true;
      files_[i].pieces[piece].uses = 0;
      release_locked(i, piece);
    }
  }
  spooled_ = 0;
  // A piece may have been begun without a byte that counts.
  std::error_code ignored;
  for (fs::directory_iterator entry(folder_, ignored), end; !ignored && entry != end; entry.increment(ignored))
    fs::remove(entry->path(), ignored);
}

Result<std::vector<size_t>> SpoolSupply::confirm(bool all) {
  start();
  {
    std::unique_lock lock(mutex_);
    // Whoever gave up in the middle will not end his uses.
    for (size_t i = 0; i < files_.size(); ++i) {
      for (size_t piece = 0; piece < files_[i].pieces.size(); ++piece) {
        files_[i].pieces[piece].uses = 0;
        release_locked(i, piece);
      }
    }
    PIPPIN_CHECK(wait(lock, [&] {
      return std::ranges::all_of(files_, [&](const File& file) { return file.is_done || !(all || file.was_read); });
    }));
  }
  stop();
  const std::lock_guard lock(mutex_);
  std::vector<size_t> wrong;
  for (size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].was_wrong) wrong.push_back(i);
  }
  return wrong;
}

void SpoolSupply::fail_with(Error error) {
  const std::lock_guard lock(mutex_);
  if (is_ending_) return;
  if (!error_) error_ = std::move(error);
  session_.stop();
  changed_.notify_all();
}

uint64_t SpoolSupply::bytes_fetched() const {
  const std::lock_guard lock(mutex_);
  return fetched_;
}

uint64_t SpoolSupply::most_spooled() const {
  const std::lock_guard lock(mutex_);
  return most_spooled_;
}

// ---- fetching

void SpoolSupply::fetch_pieces() {
  while (const auto task = next()) {
    if (auto status = fetch(*task); !status) return fail_with(std::move(status).error());
  }
}

// The next piece in order, as soon as there is room for it or a reader waits. Nothing at the end.
std::optional<SpoolSupply::Task> SpoolSupply::next() {
  std::unique_lock lock(mutex_);
  while (!error_ && !is_ending_ && !session_.is_stopped()) {
    while (next_file_ < files_.size() && (files_[next_file_].first_piece >= files_[next_file_].pieces.size() ||
                                          files_[next_file_].pieces.back().is_given))
      ++next_file_;
    if (next_file_ == files_.size()) return std::nullopt;
    File& file = files_[next_file_];
    size_t piece = file.first_piece;
    while (file.pieces[piece].is_given) ++piece;
    // The first answer tells whether the server knows ranges; until then it gets one request.
    const bool probes = !knows_ranges_ && spooled_ > 0;
    const uint64_t with_it = spooled_ + size_of(file, piece);
    const bool has_room = with_it <= options_.window;
    // What only waits for its digest makes room soon.
    const bool is_wanted = std::pair(next_file_, piece) <= wanted_ && with_it - leaving_locked() > options_.window;
    if (!probes && (is_wanted || has_room || spooled_ == 0)) {
      // A server without ranges sends all that follows in one go.
      const bool in_one_go = file.remote.ranges() == RemoteFile::Ranges::ignored;
      const Task task{next_file_, piece, in_one_go ? file.pieces.size() : piece + 1};
      for (size_t i = task.begin; i < task.end; ++i) {
        file.pieces[i].is_given = true;
        spooled_ += size_of(file, i);
      }
      most_spooled_ = std::max(most_spooled_, spooled_);
      return task;
    }
    changed_.wait_for(lock, progress_every);
  }
  return std::nullopt;
}

Status SpoolSupply::fetch(const Task& task) {
  File& file = files_[task.file];
  const uint64_t begin = task.begin * options_.piece_size;
  const uint64_t end = (task.end - 1) * options_.piece_size + size_of(file, task.end - 1);
  std::optional<DiskFile> disk;
  size_t open_piece = 0;
  return file.remote.read(begin, end, [&](uint64_t offset, std::span<const std::byte> bytes) -> Status {
    while (!bytes.empty()) {
      const auto piece = static_cast<size_t>(offset / options_.piece_size);
      if (!disk || open_piece != piece) {
        PIPPIN_TRY(disk, DiskFile::open(path_of(task.file, piece), O_WRONLY | O_CREAT | O_TRUNC));
        open_piece = piece;
      }
      const uint64_t in_piece = offset % options_.piece_size;
      const auto part =
          bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), options_.piece_size - in_piece)));
      PIPPIN_CHECK(disk->write(in_piece, part));
      offset += part.size();
      bytes = bytes.subspan(part.size());
      const std::lock_guard lock(mutex_);
      if (is_ending_) return tl::unexpected<Error>(interrupted());
      const uint64_t before = std::exchange(file.pieces[piece].there, in_piece + part.size());
      fetched_ += part.size();
      knows_ranges_ = true;
      // Not for every few kilobytes: whoever waits looks ten times a second anyway.
      const uint64_t there = file.pieces[piece].there;
      if (there / block_size != before / block_size || there == size_of(file, piece)) changed_.notify_all();
    }
    return {};
  });
}

// ---- digests

void SpoolSupply::count_digests() {
  for (size_t i = 0; i < files_.size(); ++i) {
    if (auto status = count_file(i); !status) return fail_with(std::move(status).error());
  }
  show_progress();
}

Status SpoolSupply::count_file(size_t number) {
  File& file = files_[number];
  {
    const std::lock_guard lock(mutex_);
    if (file.is_done) return {};
  }
  RunningDigest digest(file.file.content_id(), file.file.size);
  const uint64_t begin = file.first_piece * options_.piece_size;
  if (begin > 0 && !digest.restore(begin, file.note.states.at(begin)))
    return fail(ErrorTag::io, "a state of a digest is one", file.file.name);
  for (size_t piece = file.first_piece; piece < file.pieces.size(); ++piece)
    PIPPIN_CHECK(count_piece(number, piece, digest));
  return finish_file(number, digest);
}

// Until a piece has so many bytes; shows the progress meanwhile.
Status SpoolSupply::wait_for_count(const Piece& piece, uint64_t bytes) {
  show_progress();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto deadline = std::chrono::steady_clock::now() + progress_every;
    PIPPIN_CHECK(
        wait(lock, [&] { return is_ending_ || piece.there >= bytes || std::chrono::steady_clock::now() >= deadline; }));
    if (is_ending_) return tl::unexpected<Error>(interrupted());
    if (piece.there >= bytes) return {};
    lock.unlock();
    show_progress();
    lock.lock();
  }
}

Status SpoolSupply::count_piece(size_t number, size_t index, RunningDigest& digest) {
  File& file = files_[number];
  const uint64_t size = size_of(file, index);
  std::vector<std::byte> block(static_cast<size_t>(std::min(block_size, size)));
  for (uint64_t at = 0; at < size; at += block.size()) {
    const auto part = std::span(block).first(static_cast<size_t>(std::min<uint64_t>(block.size(), size - at)));
    PIPPIN_CHECK(wait_for_count(file.pieces[index], at + part.size()));
    PIPPIN_TRY(const DiskFile disk, DiskFile::open(path_of(number, index), O_RDONLY));
    PIPPIN_CHECK(disk.read(at, part));
    digest.add(part);
    compare_bytes(number, index * options_.piece_size + at, part);
  }
  const uint64_t position = index * options_.piece_size + size;
  const std::string state = digest.state();
  const std::lock_guard lock(mutex_);
  if (!state.empty() && !file.is_void) {
    const auto [noted, is_new] = file.note.states.try_emplace(position, state);
    // An earlier run had other bytes.
    if (noted->second != state) {
      file.was_wrong = file.is_void = true;
      PIPPIN_CHECK(notes_.wrong(number));
    } else if (is_new) {
      PIPPIN_CHECK(notes_.digest(number, position, state));
    }
  }
  file.pieces[index].is_counted = true;
  counted_ = {number, index + 1};
  release_locked(number, index);
  return {};
}

Status SpoolSupply::finish_file(size_t number, RunningDigest& digest) {
  File& file = files_[number];
  const bool is_right = digest.finish() == file.file.content_id();
  const std::lock_guard lock(mutex_);
  if (is_right && !file.is_void) {
    file.note.whole = true;
    PIPPIN_CHECK(notes_.whole(number));
  } else {
    file.was_wrong = true;
    file.note = {};
    PIPPIN_CHECK(notes_.wrong(number));
  }
  file.is_done = true;
  changed_.notify_all();
  return {};
}

void SpoolSupply::show_progress() {
  if (!options_.progress) return;
  DownloadProgress progress;
  {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const bool all_done = std::ranges::all_of(files_, &File::is_done);
    if (now - shown_ < progress_every && !all_done) return;
    shown_ = now;
    progress.done = fetched_;
    progress.total = std::max(to_fetch_, fetched_);
    progress.files = files_.size();
    for (const auto& file : files_) {
      if (file.is_done) ++progress.files_done;
      if (file.is_done || file.first_piece >= file.pieces.size() || !file.pieces[file.first_piece].is_given) continue;
      uint64_t done = file.first_piece * options_.piece_size;
      for (size_t i = file.first_piece; i < file.pieces.size(); ++i)
        done += file.pieces[i].is_counted ? size_of(file, i) : file.pieces[i].there;
      progress.current.push_back({file.file.name, done, file.file.size});
    }
  }
  options_.progress(progress);
}

// ---- comparing

void SpoolSupply::will_compare(const Range& range) {
  compared_.try_emplace(range);
}

void SpoolSupply::compare_bytes(size_t file, uint64_t offset, std::span<const std::byte> bytes) {
  for (auto& [range, compared] : compared_) {
    const uint64_t begin = std::max(offset, range.offset);
    const uint64_t end = std::min(offset + bytes.size(), range.offset + range.size);
    if (range.file != file || begin >= end || !compared.digest || compared.next != begin) continue;
    compared.digest->add(bytes.subspan(static_cast<size_t>(begin - offset), static_cast<size_t>(end - begin)));
    compared.next = end;
    if (end == range.offset + range.size) compared.result = compared.digest->finish();
  }
}

Result<std::optional<bool>> SpoolSupply::are_same(const Range& a, const Range& b) {
  for (auto& [range, compared] : compared_) {
    const fs::path& local = files_[range.file].local;
    if (local.empty() || !compared.result.empty()) continue;
    PIPPIN_TRY(const DiskFile disk, DiskFile::open(local, O_RDONLY));
    compared = {range.offset, RunningDigest(std::string(64, '0'), range.size), {}};
    std::vector<std::byte> block(static_cast<size_t>(block_size));
    for (uint64_t at = 0; at < range.size; at += block.size()) {
      const auto part = std::span(block).first(static_cast<size_t>(std::min(block_size, range.size - at)));
      PIPPIN_CHECK(disk.read(range.offset + at, part));
      compare_bytes(range.file, range.offset + at, part);
    }
  }
  const std::string& left = compared_[a].result;
  const std::string& right = compared_[b].result;
  if (left.empty() || right.empty()) return std::optional<bool>();
  return std::optional(left == right);
}

}  // namespace pippin

#include "hub/partial_file.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>

#include "hub/digest.h"

namespace pippin {
namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;
constexpr uint64_t smallest_piece = 16 * mebibyte;
constexpr uint64_t most_pieces = 4096;
constexpr uint64_t note_every = mebibyte;

// The trailer: 16 bytes of text, the content's size, the pieces' size, the generation, the count of each piece;
// little-endian.
constexpr std::array<char, 16> magic{'p', 'i', 'p', 'p', 'i', 'n', ' ', 'p', 'a', 'r', 't', 'i', 'a', 'l', ' ', '2'};
constexpr uint64_t counts_at = magic.size() + 3 * sizeof(uint64_t);

std::array<std::byte, 8> bytes_of(uint64_t number) {
  std::array<std::byte, 8> bytes{};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
  return bytes;
}

uint64_t number_of(const std::byte* bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return number;
}

uint64_t new_generation() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

uint64_t piece_size_for(uint64_t size) {
  const uint64_t even = (size / most_pieces / mebibyte + 1) * mebibyte;
  return std::max(smallest_piece, even);
}

}  // namespace

PartialFile::PartialFile(DiskFile file, uint64_t size, uint64_t piece_size)
    : file_(std::move(file)), size_(size), piece_size_(piece_size > 0 ? piece_size : piece_size_for(size)) {
  counts_.resize(static_cast<size_t>((size + piece_size_ - 1) / piece_size_));
  noted_ = counts_;
}

Result<std::optional<PartialFile>> PartialFile::open(const std::filesystem::path& path, uint64_t size,
                                                     uint64_t piece_size) {
  PIPPIN_TRY(DiskFile file, DiskFile::open(path, O_RDWR | O_CREAT));
  if (!file.try_lock()) return std::optional<PartialFile>();
  PartialFile partial(std::move(file), size, piece_size);
  if (!partial.read_trailer()) PIPPIN_CHECK(partial.begin_anew());
  return std::optional<PartialFile>(std::move(partial));
}

PartialFile::Span PartialFile::span_of(size_t piece) const {
  const uint64_t begin = piece * piece_size_;
  return {begin, std::min(begin + piece_size_, size_)};
}

PartialFile::Span PartialFile::missing(size_t piece) const {
  const Span span = span_of(piece);
  return {span.begin + counts_[piece], span.end};
}

uint64_t PartialFile::bytes_there() const {
  return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
}

// False where the file is not a partial of this size. One that was cut already, right before its rename, is whole.
bool PartialFile::read_trailer() {
  const auto there = file_.size();
  if (!there) return false;
  const auto whole = [this](size_t piece) { return span_of(piece).end - span_of(piece).begin; };
  if (size_ > 0 && *there == size_) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] = whole(i);
    return true;
  }
  const uint64_t trailer_size = counts_at + counts_.size() * sizeof(uint64_t);
  if (*there != size_ + trailer_size) return false;
  std::vector<std::byte> trailer(static_cast<size_t>(trailer_size));
  if (!file_.read(size_, trailer)) return false;
  if (std::memcmp(trailer.data(), magic.data(), magic.size()) != 0) return false;
  if (number_of(trailer.data() + magic.size()) != size_) return false;
  if (number_of(trailer.data() + magic.size() + 8) != piece_size_) return false;
  std::vector<uint64_t> counts(counts_.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = number_of(trailer.data() + counts_at + i * sizeof(uint64_t));
    if (counts[i] > whole(i)) return false;
  }
  counts_ = noted_ = std::move(counts);
  generation_ = number_of(trailer.data() + magic.size() + 16);
  return true;
}

uint64_t PartialFile::generation_of(const std::filesystem::path& path, uint64_t size) {
  const auto file = DiskFile::open(path, O_RDONLY);
  std::array<std::byte, counts_at> trailer{};
  if (!file || !file->read(size, trailer)) return 0;
  if (std::memcmp(trailer.data(), magic.data(), magic.size()) != 0) return 0;
  return number_of(trailer.data() + magic.size()) == size ? number_of(trailer.data() + magic.size() + 16) : 0;
}

Status PartialFile::begin_anew() {
  std::ranges::fill(counts_, 0);
  noted_ = counts_;
  generation_ = new_generation();
  PIPPIN_CHECK(file_.set_size(0));
  std::vector<std::byte> trailer(static_cast<size_t>(counts_at + counts_.size() * sizeof(uint64_t)));
  std::memcpy(trailer.data(), magic.data(), magic.size());
  std::ranges::copy(bytes_of(size_), trailer.begin() + magic.size());
  std::ranges::copy(bytes_of(piece_size_), trailer.begin() + magic.size() + 8);
  std::ranges::copy(bytes_of(generation_), trailer.begin() + magic.size() + 16);
  return file_.write(size_, trailer);
}

Status PartialFile::write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto piece = static_cast<size_t>(offset / piece_size_);
    const Span left = piece < counts_.size() ? missing(piece) : Span{0, 0};
    if (offset > left.begin || left.end == 0) {
      return fail(ErrorTag::io, "the bytes of a piece are written in their order", path().string());
    }
    const bool is_there = offset < left.begin;
    const uint64_t end = is_there ? left.begin : left.end;
    const auto part = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), end - offset)));
    if (!is_there) {
      PIPPIN_CHECK(file_.write(offset, part));
      counts_[piece] += part.size();
      if (counts_[piece] - noted_[piece] >= note_every || offset + part.size() == end) PIPPIN_CHECK(note(piece));
    }
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Status PartialFile::note(size_t piece) {
  if (noted_[piece] == counts_[piece]) return {};
  PIPPIN_CHECK(file_.write(size_ + counts_at + piece * sizeof(uint64_t), bytes_of(counts_[piece])));
  noted_[piece] = counts_[piece];
  return {};
}

Result<bool> PartialFile::check(const std::string& content_id, const std::function<bool()>& stopped) {
  PIPPIN_TRY(const std::string found, content_id_of(file_.number(), size_, content_id, path().string(), stopped));
  return found == content_id;
}

Status PartialFile::finish() {
  PIPPIN_CHECK(file_.set_size(size_));
  return file_.flush();
}

}  // namespace pippin

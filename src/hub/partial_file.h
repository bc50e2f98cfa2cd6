// A file that arrives in pieces, in any order, over several runs.
//
// Behind the content lies a trailer: what the file is a part of, and for each piece how many of its bytes are there,
// counted from the piece's begin. So the partial is one file; it is never taken for whole before its digest is right.
// Bytes never change within a generation: a wrong digest begins the next one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hub/disk_file.h"

namespace pippin {

class PartialFile {
 public:
  struct Span {
    uint64_t begin;
    uint64_t end;
  };

  // Opens what an earlier run left, or begins anew; the file is locked while the object lives. Nothing where another
  // process has it. size: of the content. piece_size: 0 for one that fits the size (16 MiB for up to 64 GiB).
  static Result<std::optional<PartialFile>> open(const std::filesystem::path& path, uint64_t size,
                                                 uint64_t piece_size = 0);

  [[nodiscard]] size_t piece_count() const { return counts_.size(); }
  // What a piece lacks still; begin == end where it is whole.
  [[nodiscard]] Span missing(size_t piece) const;
  [[nodiscard]] uint64_t bytes_there() const;
  [[nodiscard]] bool is_whole() const { return bytes_there() == size_; }
  [[nodiscard]] uint64_t piece_size() const { return piece_size_; }
  // How many bytes of the piece are noted as there: these will not be fetched again in this generation.
  [[nodiscard]] uint64_t noted(size_t piece) const { return noted_[piece]; }
  // Tells what is there now from what will be after a wrong digest; 0 where it is not known.
  [[nodiscard]] uint64_t generation() const { return generation_; }
  // The same of a file that nobody here has open.
  static uint64_t generation_of(const std::filesystem::path& path, uint64_t size);

  // Writes bytes that follow what a piece has; they may go on into the pieces behind it. What is there already is
  // passed over. Threads may write at the same time where their pieces differ.
  Status write(uint64_t offset, std::span<const std::byte> bytes);
  // Notes on the disk how far the piece has come. write() itself notes every MiB.
  Status note(size_t piece);

  // Whether the content has this id. Where not, begin_anew() is due.
  Result<bool> check(const std::string& content_id, const std::function<bool()>& stopped);
  // Forgets everything, on the disk too: another generation.
  Status begin_anew();
  // Cuts the trailer off and waits for the disk. Only after check().
  Status finish();

  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

 private:
  PartialFile(DiskFile file, uint64_t size, uint64_t piece_size);
  [[nodiscard]] Span span_of(size_t piece) const;
  bool read_trailer();

  DiskFile file_;
  uint64_t size_;
  uint64_t piece_size_;
  uint64_t generation_ = 0;
  std::vector<uint64_t> counts_;  // bytes there of each piece
  std::vector<uint64_t> noted_;   // the same, as it stands on the disk
};

}  // namespace pippin

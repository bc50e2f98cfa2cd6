#include "hub/arrival_notes.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <sstream>
#include <system_error>

#include "hub/answer_headers.h"

namespace pippin {
namespace {

constexpr const char* notes_file = ".pippin-arrivals";

}  // namespace

std::vector<ArrivalNote> parse_arrival_notes(std::string_view text, const std::vector<RepoFile>& files) {
  std::vector<ArrivalNote> notes(files.size());
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;  // a torn line
    std::istringstream line{std::string(text.substr(at, end - at))};
    at = end + 1;
    std::string what, number, id, first, second, rest;
    line >> what >> number >> id >> first >> second >> rest;
    const auto file = number_of(number);
    const auto value = number_of(first);
    if (!file || *file >= files.size() || id != files[*file].content_id() || !rest.empty()) continue;
    ArrivalNote& note = notes[*file];
    if (what == "whole" && first.empty()) note.whole = true;
    if (what == "partial" && value && second.empty()) note.generation = *value;
    if (what == "digest" && value && *value <= files[*file].size) note.states[*value] = second;
    if (what == "wrong" && first.empty()) note = {};
  }
  return notes;
}

Status ArrivalNotes::open(const std::filesystem::path& folder, const std::vector<RepoFile>& files, bool keep,
                          std::vector<ArrivalNote>& notes) {
  for (const auto& file : files) ids_.push_back(file.content_id());
  PIPPIN_TRY(file_, DiskFile::open(folder / notes_file, O_WRONLY | O_CREAT));
  if (!keep) PIPPIN_CHECK(file_.set_size(0));
  PIPPIN_TRY(end_, file_.size());
  notes = parse_arrival_notes(text_of_file(folder / notes_file).value_or(""), files);
  // A torn last line must not run into the next.
  return end_ > 0 ? append(0, "open") : Status();
}

Status ArrivalNotes::append(size_t file, std::string_view what, const std::string& more) {
  const std::lock_guard lock(mutex_);
  const std::string line = fmt::format("{}{} {} {}{}\n", what == "open" ? "\n" : "", what, file, ids_[file], more);
  PIPPIN_CHECK(file_.write(end_, std::as_bytes(std::span(line))));
  end_ += line.size();
  return {};
}

Status ArrivalNotes::whole(size_t file) {
  return append(file, "whole");
}

Status ArrivalNotes::partial(size_t file, uint64_t generation) {
  return append(file, "partial", fmt::format(" {}", generation));
}

Status ArrivalNotes::digest(size_t file, uint64_t position, const std::string& state) {
  return append(file, "digest", fmt::format(" {} {}", position, state));
}

Status ArrivalNotes::wrong(size_t file) {
  return append(file, "wrong");
}

Status ArrivalNotes::remove() {
  std::error_code error;
  std::filesystem::remove(file_.path(), error);
  if (error) return tl::unexpected<Error>(download_disk_error(error.value(), "remove", file_.path()));
  return {};
}

}  // namespace pippin

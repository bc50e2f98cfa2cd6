#include "source/foreign_file.h"

#include <fmt/format.h>

#include <array>

namespace pippin {
namespace {

struct ForeignRow {
  std::string_view begin;
  std::string_view what;
  std::string_view way_out;
};

constexpr std::string_view lfs_begin = "version https://git-lfs.";
constexpr std::string_view download_again = "download the file again, and log in first if the model is gated";
constexpr std::string_view other_format = "pippin reads safetensors; look for a safetensors version of the model";

constexpr std::array<ForeignRow, 8> rows{{
    {lfs_begin, "a Git LFS pointer, not the file itself",
     "run `git lfs install && git lfs pull` in the folder, or download the file again"},
    {"<!DOCTYPE", "a web page", download_again},
    {"<!doctype", "a web page", download_again},
    {"<html", "a web page", download_again},
    {"PK\x03\x04", "a zip archive, most likely PyTorch weights", other_format},
    {"\x80\x02", "a Python pickle, most likely PyTorch weights", other_format},
    {"GGUF", "a GGUF file", other_format},
    {"\x93NUMPY", "a NumPy array", other_format},
}};

// " of a file of 4976698672 bytes": the size that stands in an LFS pointer.
std::string lfs_size(std::string_view begin) {
  constexpr std::string_view key = "\nsize ";
  const size_t found = begin.find(key);
  if (found == std::string_view::npos) return {};
  const std::string_view rest = begin.substr(found + key.size());
  const std::string_view digits = rest.substr(0, std::min(rest.size(), rest.find_first_not_of("0123456789")));
  return digits.empty() ? std::string{} : fmt::format(" (the file has {} bytes)", digits);
}

}  // namespace

std::optional<Error> error_of_foreign_file(std::string_view begin, std::string_view name) {
  begin = begin.substr(0, foreign_file_probe);
  for (const auto& row : rows) {
    if (!begin.starts_with(row.begin)) continue;
    std::string value = fmt::format("{} is {}", name, row.what);
    if (row.begin == lfs_begin) value += lfs_size(begin);
    return Error{ErrorTag::bad_file, "a file holds what its name says", std::move(value), std::string(row.way_out), {}};
  }
  return std::nullopt;
}

}  // namespace pippin

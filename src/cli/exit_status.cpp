#include "cli/exit_status.h"

#include <array>

namespace pippin::cli {
namespace {

constexpr std::array<ExitRow, 15> rows{{
    {2, ErrorTag::usage, "wrong arguments"},
    {3, ErrorTag::not_found, "a file or folder is missing"},
    {4, ErrorTag::bad_file, "a file is corrupt"},
    {5, ErrorTag::bad_config, "config.json cannot be used"},
    {6, ErrorTag::bad_spec, "a spec or recipe file cannot be used"},
    {7, ErrorTag::unsupported, "a model or format that is not supported"},
    {8, ErrorTag::mismatch, "missing, unexpected or misshapen tensors, or models that differ"},
    {9, ErrorTag::nonfinite, "NaN or infinity in the weights"},
    {10, ErrorTag::destination, "the destination cannot be written"},
    {11, ErrorTag::no_space, "the disk is full"},
    {12, ErrorTag::io, "the operating system failed"},
    {13, ErrorTag::incomplete, "what was written is not what was planned"},
    {14, ErrorTag::network, "the Hub cannot be reached or used"},
    {15, ErrorTag::denied, "the Hub does not allow it"},
    {130, ErrorTag::interrupted, "interrupted; --resume goes on"},
}};

}  // namespace

std::span<const ExitRow> exit_rows() {
  return rows;
}

int exit_status_of(ErrorTag tag) {
  for (const auto& row : rows) {
    if (row.tag == tag) return row.status;
  }
  return 1;
}

}  // namespace pippin::cli

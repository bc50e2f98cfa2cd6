// The exit statuses of the command line tool; they stand in `pippin --help` and in the README.
#pragma once

#include <span>
#include <string_view>

#include "pippin/error.h"

namespace pippin::cli {

struct ExitRow {
  int status;
  ErrorTag tag;
  std::string_view meaning;
};

std::span<const ExitRow> exit_rows();
int exit_status_of(ErrorTag tag);

}  // namespace pippin::cli

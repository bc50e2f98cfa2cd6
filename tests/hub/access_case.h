// Who may do what at a repository, as a row of a test.
#pragma once

#include <ostream>

#include "pippin/error.h"

namespace pippin {

struct AccessCase {
  const char* name;
  const char* repo;
  const char* token;
  ErrorTag tag;
  const char* says;
};

inline void PrintTo(const AccessCase& one, std::ostream* out) {
  *out << one.name;
}

}  // namespace pippin

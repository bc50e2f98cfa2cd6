// What an answer took, for people and for machines.
#pragma once

#include <string>

#include "pippin/generate.h"

namespace pippin::cli {

// One object. indent: -1 for one line.
std::string json_text(const Generation& generation, int indent);

// To the error stream.
void print_speeds(const Generation& generation);

}  // namespace pippin::cli

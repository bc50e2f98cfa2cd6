// An answer and what it took, for people and for machines.
#pragma once

#include <string>

#include "cli/commands.h"
#include "pippin/generate.h"

namespace pippin::cli {

// One object. indent: -1 for one line.
std::string json_text(const Generation& generation, int indent);

// Writes an answer to standard output as it comes; nothing where JSON is wanted.
OnSegment shown(const Common& common);

// To the error stream.
void print_speeds(const Generation& generation);

}  // namespace pippin::cli

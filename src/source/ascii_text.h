// Small operations on texts; other bytes than ASCII stay as they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pippin {

// The parts of "a,b" at ',' are "a" and "b"; of "" one empty part. The separator is not empty.
std::vector<std::string> parts_of(std::string_view text, std::string_view separator);

// A to Z as a to z.
std::string lower_case(std::string_view text);

}  // namespace pippin

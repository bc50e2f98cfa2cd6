// Cuts a text at a separator.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pippin {

// The parts of "a,b" at ',' are "a" and "b"; of "" one empty part. The separator is not empty.
std::vector<std::string> parts_of(std::string_view text, std::string_view separator);

}  // namespace pippin

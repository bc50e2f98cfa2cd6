// Text from an input file, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace pippin {

// The text in double quotes, control characters and bytes that are not UTF-8 escaped (\x1b), and cut after about
// 120 bytes: names in a broken file may be megabytes long.
std::string in_quotes(std::string_view text);

// The same without quotes, for names of files.
std::string printable(std::string_view text);

}  // namespace pippin

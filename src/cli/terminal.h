// What the terminal can show: colour, width; and sizes and times in words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pippin::cli {

enum class Stream : uint8_t { out, error };

bool is_terminal(Stream stream);
// Colour is for terminals only, and not where NO_COLOR is set or TERM is dumb.
bool has_colour(Stream stream);
int columns_of_terminal();  // 80 where it is unknown

std::string bold(std::string_view text, Stream stream);
std::string yellow(std::string_view text, Stream stream);
std::string red(std::string_view text, Stream stream);
std::string green(std::string_view text, Stream stream);

// "1.25 GB", decimal units as the Hub shows them.
std::string bytes_text(double bytes);
// "0:07", "1:02:03".
std::string duration_text(double seconds);
// "1,234,567"
std::string count_text(uint64_t count);

// The largest resident set of the process so far, bytes.
uint64_t peak_memory();

}  // namespace pippin::cli

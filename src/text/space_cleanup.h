// Takes out the spaces that word-based tokenizers leave before punctuation: "it 's fine ." becomes "it's fine.".
#pragma once

#include <string>
#include <string_view>

namespace pippin {

// Source: clean_up_tokenization of transformers; the order of the replacements is its own.
std::string cleaned_up(std::string text);

// How many bytes from the start no later text can change the cleaning of: a cut after four characters that are no
// space.
std::size_t settled_length(std::string_view text);

}  // namespace pippin

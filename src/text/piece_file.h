// Tokenizers in SentencePiece's form: tokenizer.model, and a class that says how text is cut into its pieces.
#pragma once

#include <filesystem>
#include <string>

#include "pippin/error.h"
#include "text/token_settings.h"

namespace pippin {

// Whether the folder's tokenizer is its tokenizer.model: no tokenizer.json is there, and no tekken.json, which is
// newer.
bool has_piece_file(const std::filesystem::path& folder);

struct PieceFile {
  std::string model;  // the bytes of tokenizer.model
  std::string form;   // JSON for pippin_tokenizer_open_pieces
};

// Special tokens of the class and of the model are added to settings where they name none. The same tokenizer as
// transformers 5.23 makes, which has its own rules: what the model says of spaces (add_dummy_prefix,
// remove_extra_whitespaces) and its scores for merges are not asked. Errors: unsupported for another class.
Result<PieceFile> read_piece_file(const std::filesystem::path& folder, TokenSettings& settings);

}  // namespace pippin

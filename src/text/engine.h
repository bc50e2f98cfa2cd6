// The C functions of the Rust library in src/text/engine: the published crates tokenizers and minijinja.
// Nothing else of src/text knows Rust. No function prints, throws or aborts: a panic comes back as pippin_text_fault.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Owned by the library; give it back with pippin_text_free.
struct PippinTextBytes {
  std::uint8_t* data;
  std::size_t size;
};

enum PippinTextStatus : std::int32_t {
  pippin_text_fine = 0,
  pippin_text_bad_file = 1,   // the tokenizer or the template cannot be used
  pippin_text_bad_input = 2,  // the text, the ids or the variables cannot be used
  pippin_text_raised = 3,     // the template called raise_exception; the message is its own
  pippin_text_limit = 4,      // the template took too many steps or wrote too much
  pippin_text_fault = 5,      // a panic inside the library
};

struct PippinTextLimits {
  std::uint64_t steps;  // of the template engine
  std::size_t bytes;    // of text
  std::int64_t now;     // seconds since 1970 for strftime_now; 0: the clock
};

struct PippinTokenizer;
struct PippinStream;
struct PippinTemplate;

void pippin_text_free(PippinTextBytes bytes);

// message is written only where the status is not fine. Const functions may run in several threads at once.
PippinTextStatus pippin_tokenizer_open(const std::uint8_t* json, std::size_t size, const std::uint8_t* added,
                                       std::size_t added_size, const PippinTokenizer** out, PippinTextBytes* message);
// model: the bytes of a SentencePiece model. form: JSON, see piece_tokenizer.rs; with "before" and "behind", the tokens
// to put around a text.
PippinTextStatus pippin_tokenizer_open_pieces(const std::uint8_t* model, std::size_t size, const std::uint8_t* form,
                                              std::size_t form_size, const std::uint8_t* added, std::size_t added_size,
                                              const PippinTokenizer** out, PippinTextBytes* message);
// JSON: bos_token, eos_token and unk_token that the model names, or null; "added", the pieces to add as tokens, as
// {"content", "special"}.
PippinTextStatus pippin_pieces_describe(const std::uint8_t* model, std::size_t size, PippinTextBytes* description,
                                        PippinTextBytes* message);
void pippin_tokenizer_close(const PippinTokenizer* tokenizer);
// ids: 32-bit numbers in this machine's byte order.
PippinTextStatus pippin_tokenizer_encode(const PippinTokenizer* tokenizer, const std::uint8_t* text, std::size_t size,
                                         bool add_special_tokens, PippinTextBytes* ids, PippinTextBytes* message);
PippinTextStatus pippin_tokenizer_decode(const PippinTokenizer* tokenizer, const std::uint32_t* ids, std::size_t count,
                                         bool skip_special_tokens, PippinTextBytes* text, PippinTextBytes* message);
bool pippin_tokenizer_id_of(const PippinTokenizer* tokenizer, const std::uint8_t* token, std::size_t size,
                            std::uint32_t* id);
bool pippin_tokenizer_token_of(const PippinTokenizer* tokenizer, std::uint32_t id, PippinTextBytes* token);
std::size_t pippin_tokenizer_size(const PippinTokenizer* tokenizer);
bool pippin_tokenizer_is_bpe(const PippinTokenizer* tokenizer);

// A stream keeps its tokenizer alive.
PippinTextStatus pippin_stream_open(const PippinTokenizer* tokenizer, bool skip_special_tokens, PippinStream** stream,
                                    PippinTextBytes* message);
void pippin_stream_close(PippinStream* stream);
PippinTextStatus pippin_stream_add(PippinStream* stream, std::uint32_t id, PippinTextBytes* text,
                                   PippinTextBytes* message);
PippinTextStatus pippin_stream_finish(PippinStream* stream, PippinTextBytes* text, PippinTextBytes* message);

PippinTextStatus pippin_template_open(const std::uint8_t* source, std::size_t size, const PippinTemplate** out,
                                      PippinTextBytes* message);
void pippin_template_close(const PippinTemplate* chat_template);
// variables: a JSON object.
PippinTextStatus pippin_template_render(const PippinTemplate* chat_template, const std::uint8_t* variables,
                                        std::size_t size, PippinTextLimits limits, PippinTextBytes* text,
                                        PippinTextBytes* message);
}

// Any bytes as a tokenizer.json, as a SentencePiece model and as a chat template's source. A tokenizer that opens
// encodes and decodes without a fault, and its stream's pieces joined are what decode gives.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/engine_call.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

using Ids = std::vector<std::uint32_t>;

pippin::Result<std::string> decoded(const PippinTokenizer* tokenizer, const Ids& ids) {
  return pippin::bytes_from("ids", [&](PippinTextBytes* out, PippinTextBytes* message) {
    return pippin_tokenizer_decode(tokenizer, ids.data(), ids.size(), false, out, message);
  });
}

// Nothing where a piece is refused.
pippin::Result<std::string> streamed(const PippinTokenizer* tokenizer, const Ids& ids) {
  PippinStream* stream = nullptr;
  PippinTextBytes message{};
  check(pippin_stream_open(tokenizer, false, &stream, &message) == pippin_text_fine);
  std::string all;
  pippin::Result<std::string> piece;
  for (const std::uint32_t id : ids) {
    piece = pippin::bytes_from(
        "an id", [&](PippinTextBytes* out, PippinTextBytes* text) { return pippin_stream_add(stream, id, out, text); });
    if (!piece) break;
    all += *piece;
  }
  if (piece)
    piece = pippin::bytes_from("the end", [&](PippinTextBytes* out, PippinTextBytes* text) {
      return pippin_stream_finish(stream, out, text);
    });
  pippin_stream_close(stream);
  if (!piece) return piece;
  return all + *piece;
}

void use(PippinTextStatus status, const PippinTokenizer* tokenizer, PippinTextBytes message) {
  if (status != pippin_text_fine) {
    pippin_text_free(message);
    return;
  }
  static_cast<void>(pippin::bytes_from("text", [&](PippinTextBytes* out, PippinTextBytes* error) {
    const std::string_view text = "Hello  w\xc3\xb6rld <s>\n";
    return pippin_tokenizer_encode(tokenizer, pippin::bytes_of(text), text.size(), true, out, error);
  }));
  const Ids ids = {1, 0, 2, 3, 3, 4, 5, 6, 70, 200, 7, 8};
  const auto whole = decoded(tokenizer, ids);
  const auto pieces = streamed(tokenizer, ids);
  if (whole && pieces) check(*whole == *pieces);
  pippin_tokenizer_close(tokenizer);
}

void try_tokenizer(std::string_view json) {
  const std::string_view none = "[]";
  const PippinTokenizer* tokenizer = nullptr;
  PippinTextBytes message{};
  const PippinTextStatus status = pippin_tokenizer_open(pippin::bytes_of(json), json.size(), pippin::bytes_of(none),
                                                        none.size(), &tokenizer, &message);
  use(status, tokenizer, message);
}

void try_pieces(std::string_view model) {
  static_cast<void>(pippin::bytes_from("a model", [&](PippinTextBytes* out, PippinTextBytes* error) {
    return pippin_pieces_describe(pippin::bytes_of(model), model.size(), out, error);
  }));
  const std::string_view none = "[]";
  for (const std::string_view form : {R"({"class": "llama", "prepend_scheme": "first", "before": "<s>"})",
                                      R"({"class": "gemma", "unk_token": "<unk>"})", R"({"renamed": []})",
                                      R"({"renamed": [[1, "<s>"], [4000000000, "x"]], "behind": "</s>"})"}) {
    const PippinTokenizer* tokenizer = nullptr;
    PippinTextBytes message{};
    const PippinTextStatus status =
        pippin_tokenizer_open_pieces(pippin::bytes_of(model), model.size(), pippin::bytes_of(form), form.size(),
                                     pippin::bytes_of(none), none.size(), &tokenizer, &message);
    use(status, tokenizer, message);
  }
}

void try_template(std::string_view source) {
  const PippinTemplate* compiled = nullptr;
  PippinTextBytes message{};
  if (pippin_template_open(pippin::bytes_of(source), source.size(), &compiled, &message) == pippin_text_fine)
    pippin_template_close(compiled);
  else
    pippin_text_free(message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_tokenizer(text);
  try_pieces(text);
  try_template(text);
  return 0;
}

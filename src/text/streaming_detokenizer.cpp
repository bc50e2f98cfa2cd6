#include "text/streaming_detokenizer.h"

#include "text/engine_call.h"
#include "text/space_cleanup.h"

namespace pippin {

void StreamingDetokenizer::Close::operator()(PippinStream* stream) const {
  pippin_stream_close(stream);
}

Result<StreamingDetokenizer> StreamingDetokenizer::of(const Tokenizer& tokenizer, bool skip_special_tokens) {
  PippinStream* stream = nullptr;
  PippinTextBytes message{};
  if (const PippinTextStatus status = pippin_stream_open(tokenizer.engine(), skip_special_tokens, &stream, &message);
      status != pippin_text_fine)
    return tl::unexpected<Error>(error_of(status, message, "the tokenizer's decoder"));
  return StreamingDetokenizer(stream, tokenizer.cleans_up_spaces());
}

Result<std::string> StreamingDetokenizer::add(std::int32_t id) {
  if (id < 0) return fail(ErrorTag::usage, "token ids are not negative", std::to_string(id));
  PIPPIN_TRY(std::string text, bytes_from("an id to decode", [&](PippinTextBytes* out, PippinTextBytes* message) {
               return pippin_stream_add(stream_.get(), static_cast<std::uint32_t>(id), out, message);
             }));
  if (!clean_up_spaces_) return text;
  unsettled_ += text;
  const std::size_t settled = settled_length(unsettled_);
  std::string final_text = cleaned_up(unsettled_.substr(0, settled));
  unsettled_.erase(0, settled);
  return final_text;
}

Result<std::string> StreamingDetokenizer::finish() {
  PIPPIN_TRY(const std::string text,
             bytes_from("the last ids to decode", [&](PippinTextBytes* out, PippinTextBytes* message) {
               return pippin_stream_finish(stream_.get(), out, message);
             }));
  std::string rest = std::move(unsettled_) + text;
  unsettled_.clear();
  return clean_up_spaces_ ? cleaned_up(std::move(rest)) : rest;
}

}  // namespace pippin

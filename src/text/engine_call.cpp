#include "text/engine_call.h"

#include "source/quoted_text.h"

namespace pippin {
namespace {

struct Verdict {
  ErrorTag tag;
  const char* rule;
  const char* way_out;
};

Verdict verdict_of(PippinTextStatus status) {
  switch (status) {
    case pippin_text_bad_input:
      return {ErrorTag::usage, "text is UTF-8 and ids are tokens", "give valid text"};
    case pippin_text_raised:
      return {ErrorTag::usage, "a chat follows the rules of its template", "change the messages as the template asks"};
    case pippin_text_limit:
      return {ErrorTag::bad_file, "a chat template ends soon", "use another chat template"};
    default:
      return {ErrorTag::bad_file, "tokenizer and chat template can be used", "download the file again"};
  }
}

}  // namespace

std::string text_of(PippinTextBytes bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data), bytes.size);
  pippin_text_free(bytes);
  return text;
}

Error error_of(PippinTextStatus status, PippinTextBytes message, std::string_view what) {
  const Verdict verdict = verdict_of(status);
  return {verdict.tag, verdict.rule, std::string(what) + ": " + printable(text_of(message)), verdict.way_out, {}};
}

}  // namespace pippin

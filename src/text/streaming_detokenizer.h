// Text while it is generated: token by token, never a broken character, never taken back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pippin/error.h"
#include "text/tokenizer.h"

struct PippinStream;

namespace pippin {

// The texts of add() and finish() joined equal Tokenizer::decode() of all ids. Constant work for each token.
// What a later token could still change is held back: the bytes of an unfinished character, and where the tokenizer
// falls back to bytes (<0xE2>), the whole run of them. Used by one thread at a time; keeps the tokenizer alive.
class StreamingDetokenizer {
 public:
  static Result<StreamingDetokenizer> of(const Tokenizer& tokenizer, bool skip_special_tokens = true);

  // The text that is now final; often empty. An id without a token gives nothing; a negative one is an Error.
  Result<std::string> add(std::int32_t id);

  // The rest, with U+FFFD for what never became a character. Afterwards the object is as new.
  Result<std::string> finish();

 private:
  struct Close {
    void operator()(PippinStream* stream) const;
  };
  StreamingDetokenizer(PippinStream* stream, bool clean_up_spaces)
      : stream_(stream), clean_up_spaces_(clean_up_spaces) {}

  std::unique_ptr<PippinStream, Close> stream_;
  bool clean_up_spaces_;
  std::string unsettled_;
};

}  // namespace pippin

// One call of the engine as a Result: what it gives, or its message as an Error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pippin/error.h"
#include "text/engine.h"

namespace pippin {

// Takes the bytes out of the engine's memory, which is given back.
std::string text_of(PippinTextBytes bytes);

// The Error for a status that is not fine. what: the file or the thing that was used, for the message.
Error error_of(PippinTextStatus status, PippinTextBytes message, std::string_view what);

// Calls f(out, message), for functions that give bytes.
template <typename Call>
Result<std::string> bytes_from(std::string_view what, Call call) {
  PippinTextBytes out{}, message{};
  if (const PippinTextStatus status = call(&out, &message); status != pippin_text_fine)
    return tl::unexpected<Error>(error_of(status, message, what));
  return text_of(out);
}

inline const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

}  // namespace pippin

// Any bytes as JSON text: an error, or a value that reads back the same from its own text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "source/json_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto json = pippin::parse_json({reinterpret_cast<const char*>(bytes), size}, "config.json");
  if (!json) {
    if (json.error().message().empty()) std::abort();
    return 0;
  }
  const auto again = pippin::parse_json(json->dump(), "its own text");
  // A tagged literal adds one level, which may be one too many.
  if (!again && again.error().value.find("nested deeper") != std::string::npos) return 0;
  if (!again || *again != *json) std::abort();
  return 0;
}

#include "text/text_file.h"

#include <fstream>
#include <system_error>

#include "source/quoted_text.h"

namespace pippin {

Result<std::string> read_text_file(const std::filesystem::path& path, std::uintmax_t limit) {
  const std::string name = printable(path.string());
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorTag::not_found, "the file can be read", name + ": " + error.message());
  if (size > limit)
    return fail(ErrorTag::bad_file, "a tokenizer's file has a sensible size",
                name + " has " + std::to_string(size) + " bytes", "download the file again");
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size)))
    return fail(ErrorTag::io, "the file can be read", name);
  return text;
}

}  // namespace pippin

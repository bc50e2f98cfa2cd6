#include "generate/model_mark.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "source/byte_source.h"
#include "source/fnv_hash.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t sample = 65536;  // bytes of each end of a file

Status add_range(FnvHash& hash, const ByteSource& file, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  PIPPIN_CHECK(file.read(offset, std::as_writable_bytes(std::span(bytes))));
  hash.add(bytes);
  return {};
}

}  // namespace

Result<std::string> mark_of(const LanguageModel& model) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(model.folder(), error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".safetensors") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  FnvHash hash;
  hash.add(model.config().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  for (const auto& path : files) {
    PIPPIN_TRY(const auto file, open_file(path.string()));
    const uint64_t size = file->size();
    const uint64_t part = std::min(size, sample);
    hash.add(fmt::format("{} {}", path.filename().string(), size));
    PIPPIN_CHECK(add_range(hash, *file, 0, part));
    PIPPIN_CHECK(add_range(hash, *file, size - part, part));
  }
  return fmt::format("{:016x}", hash.value());
}

}  // namespace pippin

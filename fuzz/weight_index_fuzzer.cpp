// Any bytes as an index: an error, or sorted rows and files that stay inside the folder.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "source/weight_index.h"

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto index = pippin::parse_weight_index({reinterpret_cast<const char*>(bytes), size}, "index");
  if (!index) return 0;
  require(std::ranges::is_sorted(index->files) && !index->files.empty());
  for (const auto& file : index->files) {
    const auto path = ("/model" / std::filesystem::path(file)).lexically_normal().string();
    require(path.starts_with("/model/") && path.size() > 7);
  }
  for (size_t i = 0; i < index->rows.size(); ++i) {
    require(index->rows[i].file < index->files.size());
    require(i == 0 || index->rows[i - 1].tensor < index->rows[i].tensor);
  }
  return 0;
}

#include "verify/written_shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "source/safetensors.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

std::string describe(DType dtype, const Shape& shape, uint64_t offset, uint64_t size) {
  return fmt::format("{} {} at {}, {} bytes", name_of(dtype), to_string(shape), offset, size);
}

void compare_entries(const std::vector<const OutputTensor*>& planned, const std::vector<SafetensorsEntry>& entries,
                     const std::string& file, Differences& differences) {
  std::unordered_map<std::string_view, const SafetensorsEntry*> written;
  for (const auto& entry : entries) written.emplace(entry.name, &entry);
  for (const auto* tensor : planned) {
    const auto found = written.find(tensor->name);
    if (found == written.end()) {
      differences.add(fmt::format("{}: {} is missing", file, tensor->name));
      continue;
    }
    const auto& entry = *found->second;
    const auto want = describe(tensor->dtype, tensor->shape, tensor->offset, tensor->size);
    const auto have = describe(entry.dtype, entry.shape, entry.offset, entry.size);
    if (want != have) differences.add(fmt::format("{}: {} is {}, planned was {}", file, tensor->name, have, want));
    written.erase(found);
  }
  for (const auto& entry : entries)
    if (written.contains(entry.name)) differences.add(fmt::format("{}: {} is not planned", file, entry.name));
}

bool begins_with(const ByteSource& file, std::string_view header) {
  std::string begin(header.size(), '\0');
  const auto status = file.read(0, std::as_writable_bytes(std::span(begin)));
  return status && begin == header;
}

void compare_shard(const Shard& shard, const std::vector<const OutputTensor*>& planned, const fs::path& folder,
                   Differences& differences) {
  std::error_code error;
  if (!fs::is_regular_file(folder / shard.file, error)) return differences.add(shard.file + " is missing");
  const auto file = open_file((folder / shard.file).string());
  if (!file) return differences.add(file.error().value);
  if ((*file)->size() != shard.size)
    return differences.add(fmt::format("{} has {} bytes, planned were {}", shard.file, (*file)->size(), shard.size));
  if (!begins_with(**file, shard.header)) differences.add(shard.file + " does not begin with the planned header");
  const auto header = read_safetensors_header(**file);
  if (!header) return differences.add(header.error().value);
  compare_entries(planned, header->entries, shard.file, differences);
}

void look_for_stray_weights(const Plan& plan, const fs::path& folder, Differences& differences) {
  std::unordered_set<std::string> planned;
  for (const auto& shard : plan.shards) planned.insert(shard.file);
  std::vector<std::string> stray;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.ends_with(".safetensors") && !planned.contains(name)) stray.push_back(name);
  }
  std::sort(stray.begin(), stray.end());
  for (const auto& name : stray) differences.add(name + " is not planned; loaders would read it too");
}

}  // namespace

void compare_shards(const Plan& plan, const fs::path& folder, Differences& differences) {
  std::vector<std::vector<const OutputTensor*>> planned(plan.shards.size());
  for (const auto& tensor : plan.outputs) planned[tensor.shard].push_back(&tensor);
  for (size_t shard = 0; shard < plan.shards.size(); ++shard)
    compare_shard(plan.shards[shard], planned[shard], folder, differences);
  look_for_stray_weights(plan, folder, differences);
}

}  // namespace pippin

#include "verify/recording.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr uint64_t most_ids = 1 << 20;

Error bad(const std::string& file, const std::string& what) {
  return {ErrorTag::bad_file,
          "a recording has prompts.K.ids, and logits and layers of as many rows",
          file + ": " + what,
          "record again with record_activations; its --help describes the file",
          {}};
}

bool is_value(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

}  // namespace

std::string ids_name(size_t prompt) {
  return fmt::format("prompts.{}.ids", prompt);
}
std::string logits_name(size_t prompt) {
  return fmt::format("prompts.{}.logits", prompt);
}
std::string layer_name(size_t prompt, int layer) {
  return fmt::format("prompts.{}.layers.{}", prompt, layer);
}

Result<Recording> Recording::open(const std::filesystem::path& file) {
  PIPPIN_TRY(std::unique_ptr<ByteSource> bytes, open_file(file.string()));
  PIPPIN_TRY(SafetensorsHeader header, read_safetensors_header(*bytes));
  PIPPIN_TRY(Recording recording, make(std::move(header.entries), std::move(bytes)));
  const auto dtype = header.metadata.is_object() ? header.metadata.find("dtype") : header.metadata.end();
  if (header.metadata.is_object() && dtype != header.metadata.end() && dtype->is_string())
    recording.dtype_ = dtype->get<std::string>();
  return recording;
}

Result<Recording> Recording::make(std::vector<SafetensorsEntry> entries, std::unique_ptr<ByteSource> bytes) {
  Recording recording;
  recording.bytes_ = std::move(bytes);
  for (auto& entry : entries) {
    std::string name = entry.name;
    recording.entries_.emplace(std::move(name), std::move(entry));
  }
  for (size_t prompt = 0;; ++prompt) {
    const SafetensorsEntry* ids = recording.find(ids_name(prompt));
    if (ids == nullptr) break;
    PIPPIN_CHECK(recording.take_ids(*ids));
  }
  if (recording.prompts_.empty()) return tl::unexpected<Error>(bad(recording.name(), "no prompts.0.ids"));
  PIPPIN_CHECK(recording.check_shapes());
  return recording;
}

Status Recording::take_ids(const SafetensorsEntry& entry) {
  const auto count = static_cast<uint64_t>(element_count(entry.shape));
  const bool wide = entry.dtype == DType::I64;
  if ((!wide && entry.dtype != DType::I32) || count == 0 || count > most_ids)
    return tl::unexpected<Error>(bad(name(), fmt::format("{} is {} {}, not I32 or I64 of some tokens", entry.name,
                                                         name_of(entry.dtype), to_string(entry.shape))));
  std::vector<int64_t> ids(count);
  std::vector<int32_t> narrow(count);
  auto* const data = wide ? static_cast<void*>(ids.data()) : static_cast<void*>(narrow.data());
  PIPPIN_CHECK(bytes_->read(entry.offset, {static_cast<std::byte*>(data), static_cast<size_t>(entry.size)}));
  for (uint64_t k = 0; k < count; ++k) {
    const int64_t id = wide ? ids[k] : narrow[k];
    if (id < 0 || id > INT32_MAX)
      return tl::unexpected<Error>(bad(name(), fmt::format("{} has the token {}", entry.name, id)));
    narrow[k] = static_cast<int32_t>(id);
  }
  prompts_.push_back(std::move(narrow));
  return {};
}

Status Recording::check_shapes() const {
  for (size_t prompt = 0; prompt < prompts_.size(); ++prompt) {
    const std::string prefix = fmt::format("prompts.{}.", prompt);
    const auto tokens = static_cast<int64_t>(prompts_[prompt].size());
    for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
      const auto& entry = at->second;
      const bool values = entry.name == logits_name(prompt) || entry.name.starts_with(prefix + "layers.");
      if (!values) continue;
      const bool fits = entry.shape.size() >= 2 && entry.shape.front() == tokens && element_count(entry.shape) > 0;
      if (!fits || !is_value(entry.dtype))
        return tl::unexpected<Error>(bad(name(), fmt::format("{} is {} {}, and there are {} ids", entry.name,
                                                             name_of(entry.dtype), to_string(entry.shape), tokens)));
    }
  }
  return {};
}

const SafetensorsEntry* Recording::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

const SafetensorsEntry* Recording::logits(size_t prompt) const {
  return find(logits_name(prompt));
}

const SafetensorsEntry* Recording::layer(size_t prompt, int layer) const {
  return find(layer_name(prompt, layer));
}

bool Recording::has_logits() const {
  for (size_t prompt = 0; prompt < prompts_.size(); ++prompt) {
    if (logits(prompt) != nullptr) return true;
  }
  return false;
}

Status Recording::read(const SafetensorsEntry& entry, uint64_t begin, std::span<float> out) const {
  const size_t size = size_of(entry.dtype);
  std::vector<std::byte> bytes(out.size() * size);
  PIPPIN_CHECK(bytes_->read(entry.offset + begin * size, bytes));
  cast(entry.dtype, bytes.data(), DType::F32, out.data(), static_cast<int64_t>(out.size()));
  return {};
}

}  // namespace pippin

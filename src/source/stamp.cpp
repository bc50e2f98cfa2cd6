#include "source/stamp.h"

namespace pippin {
namespace {

std::string text_at(const nlohmann::ordered_json& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<Stamp> stamp_of_file(const nlohmann::ordered_json& metadata) {
  if (!metadata.is_object()) return std::nullopt;
  Stamp stamp{text_at(metadata, "pippin"), text_at(metadata, "pippin.target"), text_at(metadata, "pippin.rounding"),
              text_at(metadata, "pippin.layout")};
  if (stamp.version.empty() || stamp.target.empty() || stamp.layout.empty()) return std::nullopt;
  return stamp;
}

}  // namespace

std::map<std::string, std::string> metadata_of(const Stamp& stamp) {
  return {{"format", "mlx"},
          {"pippin", stamp.version},
          {"pippin.target", stamp.target},
          {"pippin.rounding", stamp.rounding},
          {"pippin.layout", stamp.layout}};
}

std::optional<Stamp> stamp_of(std::span<const nlohmann::ordered_json> metadata) {
  std::optional<Stamp> common;
  for (const auto& file : metadata) {
    auto stamp = stamp_of_file(file);
    if (!stamp || (common && *common != *stamp)) return std::nullopt;
    common = std::move(stamp);
  }
  return common;
}

std::optional<Stamp> stamp_of(const Checkpoint& checkpoint) {
  return stamp_of(checkpoint.metadata());
}

}  // namespace pippin

// The stamp that pippin leaves in the "__metadata__" of every safetensors file, so that a later run knows its own
// output and never guesses the layout from shapes.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "source/checkpoint.h"

namespace pippin {

struct Stamp {
  std::string version;   // of the pippin that wrote the file: key "pippin"
  std::string target;    // "mlx-lm" or "mlx-vlm": key "pippin.target"
  std::string rounding;  // "metal" or "cpu": key "pippin.rounding"
  std::string layout;    // "mlx": names and layouts are those of MLX modules: key "pippin.layout"
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// The whole "__metadata__" of an output file: {"format": "mlx"}, which the MLX loaders ask for, and the stamp.
std::map<std::string, std::string> metadata_of(const Stamp& stamp);

// The stamp of a checkpoint: where all its weight files carry the same one. Files that disagree, or of which some
// have none, were put together by somebody else and count as not stamped.
std::optional<Stamp> stamp_of(const Checkpoint& checkpoint);

// The same from the "__metadata__" objects of the files, each of which may be null.
std::optional<Stamp> stamp_of(std::span<const nlohmann::ordered_json> metadata);

}  // namespace pippin

#include "plan/packed_layers.h"

#include <algorithm>

#include <fmt/format.h>

#include "quantize/quantize.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

const Shape* dense_weight(const MlxModule& module) {
  for (const auto& parameter : module.parameters) {
    if (parameter.name == "weight") return &parameter.shape;
  }
  return nullptr;
}

// mlx-lm: the format a layer was packed with, from the shapes of its weight and scales.
Result<std::optional<QuantFormat>> inferred(const MlxModule& module, const Shape& dense, const TensorMap& tensors) {
  const auto weight = tensors.find(module.name_of("weight"));
  const auto scales = tensors.find(module.name_of("scales"));
  const auto bad = [&](const std::string& what) {
    return fail(ErrorTag::mismatch, "a packed layer's weight and scales tell its bits and group size",
                fmt::format("{}: {}", module.path, what), "check that config.json belongs to these weights");
  };
  if (weight == tensors.end()) return bad("scales without weight");
  const Shape& words = weight->second->shape;
  const Shape& groups = scales->second->shape;
  if (words.empty() || groups.empty() || groups.back() <= 0 || dense.back() <= 0) return bad("no last dimension");
  const int64_t group_size = dense.back() / groups.back();
  int64_t bits = 0;
  if (__builtin_mul_overflow(words.back(), int64_t{32}, &bits)) return bad("an absurd shape");
  bits /= dense.back();
  QuantFormat format{QuantMode::affine, static_cast<int>(std::min<int64_t>(bits, 64)),
                     static_cast<int>(std::min<int64_t>(group_size, 1 << 20))};
  if (scales->second->dtype == DType::U8) {
    if (bits == 4 && group_size == 16)
      format.mode = QuantMode::nvfp4;
    else if (bits == 4 && group_size == 32)
      format.mode = QuantMode::mxfp4;
    else if (bits == 8 && group_size == 32)
      format.mode = QuantMode::mxfp8;
    else
      return bad(fmt::format("{} bits with groups of {} and U8 scales are no known mode", bits, group_size));
  }
  if (auto status = check(format); !status) {
    return bad(fmt::format("weight {} and scales {} would be {} bits with groups of {}", to_string(words),
                           to_string(groups), bits, group_size));
  }
  return std::optional(format);
}

// The entry for a path; mlx-vlm also looks it up without the language_model prefix.
const Json* entry_for(const Json& quantization, const std::string& path, Target target) {
  const auto found = quantization.find(path);
  if (found != quantization.end()) return &*found;
  const std::string prefix = "language_model.";
  if (target == Target::mlx_vlm && path.starts_with(prefix)) {
    const auto shorter = quantization.find(path.substr(prefix.size()));
    if (shorter != quantization.end() && (shorter->is_object() || shorter->is_boolean())) return &*shorter;
  }
  return nullptr;
}

}  // namespace

Result<QuantFormat> format_of(const Json& entry, const std::string& where) {
  const auto bad = [&] {
    return fail(ErrorTag::bad_config, "a quantization entry is {\"group_size\", \"bits\", \"mode\"}",
                fmt::format("{}: {}", where, entry.dump()), "check \"quantization\" in config.json");
  };
  if (!entry.is_object()) return bad();
  const Json mode_name = entry.value("mode", Json("affine"));
  const auto mode = mode_name.is_string() ? quant_mode_of(mode_name.get<std::string>()) : std::nullopt;
  if (!mode) return bad();
  QuantFormat format{*mode, row_of(*mode).default_bits, row_of(*mode).default_group_size};
  const auto integer = [&entry](const char* key, int& target) {
    if (!entry.contains(key) || entry[key].is_null()) return true;
    if (!entry[key].is_number_integer()) return false;
    const auto value = entry[key].get<int64_t>();
    if (value < 0 || value > 1 << 20) return false;
    target = static_cast<int>(value);
    return true;
  };
  if (!integer("bits", format.bits) || !integer("group_size", format.group_size)) return bad();
  if (auto status = check(format); !status) {
    Error error = std::move(status).error();
    error.value = where + ": " + error.value;
    return tl::unexpected<Error>(std::move(error));
  }
  return format;
}

Json entry_of(const QuantFormat& format) {
  return {{"group_size", format.group_size}, {"bits", format.bits}, {"mode", row_of(format.mode).name}};
}

Result<std::optional<QuantFormat>> packed_format(const MlxModule& module, const TensorMap& tensors,
                                                 const Json& quantization, Target target) {
  const Shape* dense = dense_weight(module);
  if (dense == nullptr || dense->empty()) return std::optional<QuantFormat>();
  if (module.repacks && tensors.contains(module.name_of("scales"))) return inferred(module, *dense, tensors);
  if (!quantization.is_object()) return std::optional<QuantFormat>();
  if (const Json* entry = entry_for(quantization, module.path, target)) {
    if (entry->is_boolean() && !entry->get<bool>()) return std::optional<QuantFormat>();
    if (module.quantizable || entry->is_object()) {
      PIPPIN_TRY(const QuantFormat format,
                 format_of(entry->is_object() ? *entry : quantization, "quantization, " + module.path));
      return std::optional(format);
    }
  }
  if (!module.quantizable || !tensors.contains(module.name_of("scales"))) return std::optional<QuantFormat>();
  if (target == Target::mlx_lm) return inferred(module, *dense, tensors);
  if (element_count(*dense) % 64 != 0) return std::optional<QuantFormat>();
  PIPPIN_TRY(const QuantFormat format, format_of(quantization, "quantization"));
  return std::optional(format);
}

Status add_packed_rules(const Spec& spec, const ModuleTree& tree, const TensorMap& tensors, Json& quantization) {
  for (const auto& module : tree.modules) {
    const Shape* dense = dense_weight(module);
    const auto weight = tensors.find(module.name_of("weight"));
    const auto scales = tensors.find(module.name_of("scales"));
    const bool packed = weight != tensors.end() && scales != tensors.end();
    if (!module.quantizable || !packed || dense == nullptr || dense->empty()) continue;
    for (const auto& rule : spec.packed) {
      const bool named = std::any_of(rule.modules.begin(), rule.modules.end(),
                                     [&module](const NamePattern& one) { return one.match(module.path).has_value(); });
      if (!named) continue;
      PIPPIN_TRY(const QuantFormat format, format_of(rule.format, spec.name + ".toml, packed"));
      const PackedShapes shapes = packed_shapes(*dense, format);
      if (shapes.weight != weight->second->shape || shapes.scales != scales->second->shape) continue;
      const Result<QuantFormat> global = quantization.is_null() ? format : format_of(quantization, "quantization");
      if (quantization.is_null())
        quantization = entry_of(format);
      else if (!global || !(*global == format))
        quantization[module.path] = entry_of(format);
      break;
    }
  }
  return {};
}

PackedShapes packed_shapes(const Shape& dense, const QuantFormat& format) {
  PackedShapes shapes{dense, dense};
  const PackedRow row = packed_row(format, dense.back());
  shapes.weight.back() = row.words;
  shapes.scales.back() = row.groups;
  return shapes;
}

}  // namespace pippin

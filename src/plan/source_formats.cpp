#include "plan/source_formats.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "plan/int4_sources.h"
#include "plan/packed_layers.h"
#include "plan/packed_sources.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr QuantFormat mxfp4{QuantMode::mxfp4, 4, 32};
constexpr QuantFormat mxfp8{QuantMode::mxfp8, 8, 32};
constexpr QuantFormat nvfp4{QuantMode::nvfp4, 4, 16};

std::string text(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return "";
  return object[key].get<std::string>();
}

tl::unexpected<Error> unknown(const char* field, const std::string& value) {
  return fail(ErrorTag::unsupported, "the source's quantization must be one that pippin reads",
              fmt::format("config.json: quantization_config.{} is \"{}\"", field, value),
              "convert from the unquantized checkpoint, or dequantize it to BF16 with the tool that made it");
}

bool blocks_of(const Json& declared, int rows, int columns) {
  return declared.contains("weight_block_size") && declared["weight_block_size"] == Json::array({rows, columns});
}

// mlx-lm's reading of a compressed-tensors format.
Result<Json> compressed_tensors(const Json& declared) {
  const std::string format = text(declared, "format");
  if (format == "nvfp4-pack-quantized") return entry_of(nvfp4);
  if (format == "mxfp4-pack-quantized") return entry_of(mxfp4);
  if (format == "pack-quantized") return entry_of({QuantMode::affine, 4, 32});
  return unknown("format", format);
}

Result<Json> modelopt(const Json& declared) {
  const Json settings = declared.value("quantization", declared);
  const std::string algorithm = text(settings, "quant_algo");
  if (algorithm != "NVFP4") return unknown("quant_algo", algorithm);
  Json format = entry_of(nvfp4);
  format["group_size"] = settings.value("group_size", Json(16));
  return format;
}

}  // namespace

Status check_known(const Json& declared, const Json& config) {
  if (declared.is_null() || (config.contains("quantization") && !config["quantization"].is_null())) return {};
  if (!declared.is_object()) {
    return fail(ErrorTag::bad_config, "quantization_config is an object",
                "config.json: quantization_config is " + declared.dump(),
                "take config.json from the model's original repository");
  }
  if (declared.contains("bits") && declared.contains("group_size") && !declared.contains("quant_method")) return {};
  static constexpr std::array<std::string_view, 9> known{"mxfp4", "mxfp8", "fp8",    "compressed-tensors", "modelopt",
                                                         "awq",   "gptq",  "bitnet", "modelopt_mixed"};
  const std::string method = text(declared, "quant_method");
  if (std::find(known.begin(), known.end(), method) != known.end()) return {};
  if (declared.contains("quantization")) return {};  // ModelOpt's nested form
  return unknown("quant_method", method.empty() ? declared.dump() : method);
}

void make_ternary(ModuleTree& tree, const Json& config) {
  const Json declared = config.value("quantization_config", Json(nullptr));
  if (text(declared, "quant_method") != "bitnet") return;
  const Json kept = declared.value("modules_to_not_convert", Json::array());
  for (size_t index = 0; index < tree.modules.size(); ++index) {
    MlxModule& module = tree.modules[index];
    const bool named = kept.is_array() && std::find(kept.begin(), kept.end(), module.path) != kept.end();
    if (module.kind != "linear" || named) continue;
    module.quantizable = false;
    Shape& shape = module.parameters[0].shape;
    shape[0] = (shape[0] + 3) / 4;
    module.parameters.insert(module.parameters.begin() + 1, {"weight_scale", {1}});
  }
  // The parameters of a module follow each other; the order is made again with the new ones in place.
  std::vector<std::pair<size_t, size_t>> order;
  std::vector<bool> seen(tree.modules.size());
  for (const auto& [index, parameter] : tree.order) {
    if (tree.modules[index].kind != "linear") {
      order.emplace_back(index, parameter);
    } else if (!seen[index]) {
      seen[index] = true;
      for (size_t k = 0; k < tree.modules[index].parameters.size(); ++k) order.emplace_back(index, k);
    }
  }
  tree.order = std::move(order);
}

Result<Json> unpack_after_rules(TensorMap& tensors, Json& config, const Checkpoint& checkpoint,
                                const PlanRequest& request, std::vector<std::string>& warnings) {
  if (config.contains("quantization") && !config["quantization"].is_null()) return config["quantization"];
  const Json declared = config.value("quantization_config", Json(nullptr));
  if (!declared.is_object() || declared.empty()) return Json(nullptr);
  const std::string method = text(declared, "quant_method");
  Json quantization = nullptr;
  if (method == "mxfp4") {
    quantization = entry_of(mxfp4);
  } else if (method == "mxfp8" ||
             (method == "fp8" && text(declared, "scale_fmt") == "ue8m0" && blocks_of(declared, 32, 32))) {
    quantization = entry_of(mxfp8);
  } else if (method == "compressed-tensors") {
    PIPPIN_TRY(quantization, compressed_tensors(declared));
  } else if (method == "modelopt" || declared.contains("quantization")) {
    PIPPIN_TRY(quantization, modelopt(declared));
  } else if (method == "awq" || method == "gptq") {
    const bool keep_dense = request.dequantize || (request.quantize && request.requantize);
    PIPPIN_TRY(quantization, repack_int4(tensors, declared, checkpoint, keep_dense, warnings));
  }
  if (quantization.is_null()) return quantization;
  config["quantization"] = quantization;
  config["quantization_config"] = quantization;
  return quantization;
}

Result<Json> unpack_before_rules(TensorMap& tensors, const Json& config, Json declared, const Json& hf_quant_config) {
  if (config.contains("quantization") && !config["quantization"].is_null()) return config["quantization"];
  if (declared.is_null() && hf_quant_config.is_object() && hf_quant_config.contains("quantization")) {
    declared = hf_quant_config["quantization"];
    if (declared.is_object()) declared["quant_method"] = "modelopt";
  }
  if (!declared.is_object() || declared.empty()) return Json(nullptr);
  const std::string method = text(declared, "quant_method");
  const std::string algorithm = text(declared, "quant_algo");
  if (method == "mxfp4") return entry_of(mxfp4);
  if (method == "compressed-tensors") {
    if (text(declared, "format") == "mxfp4-pack-quantized") return entry_of(mxfp4);
    return unpack_compressed_tensors(tensors, declared);
  }
  static constexpr std::array<std::string_view, 4> unpacked{"NVFP4", "W4A16_NVFP4", "MIXED_PRECISION", "FP8"};
  const bool modelopt_algorithm = std::find(unpacked.begin(), unpacked.end(), algorithm) != unpacked.end();
  // The model's rules bring the weights into shape.
  if (method.starts_with("modelopt") && algorithm == "MXFP8") return entry_of(mxfp8);
  if (method.starts_with("modelopt") && modelopt_algorithm) {
    PIPPIN_TRY(Json quantization, unpack_modelopt(tensors));
    // Exports with names of their own are brought into shape by the model's rules.
    if (quantization.is_null() && algorithm == "NVFP4") quantization = entry_of(nvfp4);
    return quantization;
  }
  const bool plain_fp8 =
      declared.value("fmt", Json("e4m3")) == "e4m3" && declared.value("store_dtype", Json("fp8")) == "fp8";
  if (method == "fp8" && plain_fp8 && blocks_of(declared, 128, 128)) return requantize_fp8_blocks(tensors);
  return Json(nullptr);
}

}  // namespace pippin

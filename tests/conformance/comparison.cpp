#include "conformance/comparison.h"

#include <fstream>
#include <map>

#include <fmt/format.h>

#include "ghost/ghost.h"
#include "source/byte_source.h"
#include "source/safetensors.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Recorded {
  std::string dtype;
  Json shape;
  std::string digest;
};

std::map<std::string, Recorded> tensors_of(const fs::path& folder) {
  std::map<std::string, Recorded> result;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto file = open_file(entry.path().string());
    const auto header = read_safetensors_header(**file);
    for (const auto& tensor : header.value().entries) {
      std::vector<std::byte> bytes(tensor.size);
      if (!(*file)->read(tensor.offset, bytes)) throw std::runtime_error("cannot read " + tensor.name);
      result[tensor.name] = {std::string(name_of(tensor.dtype)), Json(tensor.shape), sha256(bytes).substr(0, 16)};
    }
  }
  return result;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the config
void resolve_null_group_sizes(Json& value) {
  if (!value.is_object()) return;
  if (value.contains("bits") && value.contains("group_size") && value["group_size"].is_null()) value["group_size"] = 64;
  for (auto& [key, inner] : value.items()) resolve_null_group_sizes(inner);
}

void compare_configs(Json actual, Json expected, const Json& arguments, const Json& conformance_case,
                     std::vector<std::string>& differences) {
  resolve_null_group_sizes(expected);
  const bool dequantized = arguments.value("dequantize", false);
  const Json& source = conformance_case["config"];
  const bool forgotten = conformance_case["tool"] == "mlx_vlm" && !source.contains("quantization") &&
                         actual.contains("quantization") &&
                         (source.contains("quantization_config") ||
                          conformance_case.value("files", Json::object()).contains("hf_quant_config.json") ||
                          (source.contains("text_config") && source["text_config"].is_object() &&
                           source["text_config"].contains("quantization_config")));
  if (dequantized || forgotten) {
    for (const char* key : {"quantization", "quantization_config"}) {
      expected.erase(key);
      if (forgotten) actual.erase(key);
    }
  }
  const nlohmann::json left = actual;
  const nlohmann::json right = expected;
  if (left == right) return;
  for (const auto& step : nlohmann::json::diff(right, left)) {
    differences.push_back("config.json: " + step.dump().substr(0, 300));
  }
}

Json read(const fs::path& path) {
  std::ifstream stream(path);
  return Json::parse(stream);
}

}  // namespace

std::vector<std::string> compare_with_record(const fs::path& folder, const Json& expect, const Json& arguments,
                                             const Json& conformance_case) {
  std::vector<std::string> differences;
  const auto actual = tensors_of(folder);
  for (const auto& [name, recorded] : expect["tensors"].items()) {
    const auto found = actual.find(name);
    if (found == actual.end()) {
      differences.push_back("missing " + name);
      continue;
    }
    const Recorded& tensor = found->second;
    if (tensor.dtype != recorded[0] || tensor.shape != recorded[1]) {
      differences.push_back(fmt::format("{} is {} {}, recorded {} {}", name, tensor.dtype, tensor.shape.dump(),
                                        recorded[0].dump(), recorded[1].dump()));
    } else if (tensor.digest != recorded[2]) {
      differences.push_back(fmt::format("{} {} {} has other bytes", name, tensor.dtype, tensor.shape.dump()));
    }
  }
  for (const auto& [name, tensor] : actual) {
    if (!expect["tensors"].contains(name)) differences.push_back("unexpected " + name);
  }
  if (expect.contains("config"))
    compare_configs(read(folder / "config.json"), expect["config"], arguments, conformance_case, differences);
  if (expect.contains("index_metadata")) {
    const Json metadata = read(folder / "model.safetensors.index.json")["metadata"];
    if (nlohmann::json(metadata) != nlohmann::json(expect["index_metadata"])) {
      differences.push_back(
          fmt::format("index metadata {}, recorded {}", metadata.dump(), expect["index_metadata"].dump()));
    }
  }
  return differences;
}

}  // namespace pippin

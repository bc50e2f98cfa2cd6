#include "source/safetensors_writer.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace pippin {
namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_metadata(std::string& json, const std::map<std::string, std::string>& metadata) {
  if (metadata.empty()) return;
  json += "\"__metadata__\":{";
  for (const char* comma = ""; const auto& [key, value] : metadata) {
    fmt::format_to(std::back_inserter(json), "{}{}:{}", comma, quoted(key), quoted(value));
    comma = ",";
  }
  json += "}";
}

uint64_t byte_count(const SafetensorsTensor& tensor) {
  return static_cast<uint64_t>(element_count(tensor.shape)) * size_of(tensor.dtype);
}

}  // namespace

std::string safetensors_header(std::span<const SafetensorsTensor> tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  append_metadata(json, metadata);
  uint64_t begin = 0;
  for (const auto& tensor : tensors) {
    const uint64_t end = begin + byte_count(tensor);
    if (json.size() > 1) json += ',';
    fmt::format_to(std::back_inserter(json), R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                   quoted(tensor.name), name_of(tensor.dtype), fmt::join(tensor.shape, ","), begin, end);
    begin = end;
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');

  std::string header;
  header.reserve(json.size() + 8);
  for (int byte = 0; byte < 8; ++byte) header += static_cast<char>(static_cast<uint64_t>(json.size()) >> (8 * byte));
  return header + json;
}

}  // namespace pippin

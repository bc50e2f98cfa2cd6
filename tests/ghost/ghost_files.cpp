#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

#include "ghost/ghost.h"
#include "ghost/ghost_values.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct GhostTensor {
  std::string name;
  std::string dtype;
  GhostShape shape;
  Json fill;
  uint64_t size;  // bytes
};

struct GhostFile {
  std::string name;
  std::vector<GhostTensor> tensors;
};

uint64_t bytes_of(std::string_view dtype, const GhostShape& shape) {
  const auto product = [](uint64_t a, int64_t b) { return a * static_cast<uint64_t>(b); };
  return std::accumulate(shape.begin(), shape.end(), uint64_t{ghost_element_size(dtype)}, product);
}

void write_text(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  if (!out.write(text.data(), static_cast<std::streamsize>(text.size())).flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

// JSON text as Python's json module writes it: non-ASCII characters escaped.
std::string ascii(std::string_view text) {
  return Json(text).dump(-1, ' ', true);
}
std::string indented(const Json& json) {
  return json.dump(2, ' ', true);
}

// The file's first bytes: length and header, padded with spaces to a multiple of 8.
std::string header_of(const std::vector<GhostTensor>& tensors) {
  std::string header = R"({"__metadata__": {"format": "pt"})";
  uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    header +=
        fmt::format(R"(, {}: {{"dtype": "{}", "shape": {}, "data_offsets": [{}, {}]}})", ascii(tensor.name),
                    tensor.dtype, fmt::format("[{}]", fmt::join(tensor.shape, ", ")), offset, offset + tensor.size);
    offset += tensor.size;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return text + header;
}

void write_values(std::ofstream& out, const GhostTensor& tensor) {
  constexpr uint64_t block = uint64_t{1} << 20;  // a multiple of every element size
  std::vector<std::byte> bytes(std::min(block, tensor.size));
  for (uint64_t at = 0; at < tensor.size; at += block) {
    const auto part = std::span(bytes).first(std::min(block, tensor.size - at));
    fill_ghost(tensor.name, tensor.dtype, tensor.fill, at / ghost_element_size(tensor.dtype), part);
    out.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
  }
}

void write_index(const std::vector<GhostFile>& files, const fs::path& folder) {
  uint64_t total = 0;
  Json weight_map = Json::object();
  auto& rows = weight_map.get_ref<Json::object_t&>();  // its operator[] walks over all rows
  std::unordered_map<std::string_view, size_t> places;
  for (const auto& file : files) {
    for (const auto& tensor : file.tensors) {
      total += tensor.size;
      const auto [place, is_new] = places.try_emplace(tensor.name, rows.size());
      if (is_new)
        rows.emplace_back(tensor.name, file.name);
      else
        rows.begin()[static_cast<std::ptrdiff_t>(place->second)].second = file.name;
    }
  }
  write_text(folder / "model.safetensors.index.json",
             indented({{"metadata", {{"total_size", total}}}, {"weight_map", std::move(weight_map)}}));
}

// Which file each tensor of the case goes to, in the order in which files are first named.
std::vector<GhostFile> files_of(const Json& case_json) {
  const Json& source = case_json.at("source");
  const auto shards = case_json.value("shards", uint64_t{1});
  std::vector<GhostFile> files;
  for (size_t position = 0; position < source.size(); ++position) {
    const Json& entry = source[position];
    GhostTensor tensor{entry.at(0), entry.at(1), entry.at(2).get<GhostShape>(), entry.size() > 3 ? entry[3] : Json(),
                       0};
    tensor.size = bytes_of(tensor.dtype, tensor.shape);
    std::string name = "model.safetensors";
    if (shards > 1)
      name = fmt::format("model-{:05d}-of-{:05d}.safetensors", position * shards / source.size() + 1, shards);
    if (tensor.fill.is_object()) name = tensor.fill.value("file", name);
    auto file = std::ranges::find(files, name, &GhostFile::name);
    if (file == files.end()) file = files.insert(files.end(), {name, {}});
    file->tensors.push_back(std::move(tensor));
  }
  return files;
}

std::ofstream create(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  if (!out) throw std::runtime_error("cannot write " + path.string());
  return out;
}

}  // namespace

std::vector<std::byte> tensor_bytes(std::string_view name, std::string_view dtype, const GhostShape& shape,
                                    const Json& fill) {
  std::vector<std::byte> bytes(bytes_of(dtype, shape));
  fill_ghost(name, dtype, fill, 0, bytes);
  return bytes;
}

void write_ghost(const Json& case_json, const fs::path& folder) {
  write_text(folder / "config.json", indented(case_json.at("config")));
  const Json extra = case_json.value("files", Json::object());
  for (const auto& [name, content] : extra.items()) {
    write_text(folder / name, content.is_string() ? content.get<std::string>() : indented(content));
  }
  const auto files = files_of(case_json);
  for (const auto& file : files) {
    auto out = create(folder / file.name);
    const std::string header = header_of(file.tensors);
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const auto& tensor : file.tensors) write_values(out, tensor);
    if (!out.flush()) throw std::runtime_error("cannot write " + (folder / file.name).string());
  }
  if (files.size() > 1) write_index(files, folder);
}

Json read_case(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return Json::parse(in);
}

void write_sparse(const Json& config, std::span<const SparseTensor> tensors, const fs::path& folder,
                  uint64_t shard_bytes) {
  write_text(folder / "config.json", indented(config));
  std::vector<GhostFile> files;
  uint64_t filled = 0;
  for (const auto& tensor : tensors) {
    const uint64_t size = bytes_of(tensor.dtype, tensor.shape);
    if (files.empty() || (filled > 0 && filled + size > shard_bytes)) {
      files.emplace_back();
      filled = 0;
    }
    files.back().tensors.push_back({tensor.name, tensor.dtype, tensor.shape, nullptr, size});
    filled += size;
  }
  for (size_t i = 0; i < files.size(); ++i) {
    files[i].name = files.size() == 1 ? "model.safetensors"
                                      : fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, files.size());
    const std::string header = header_of(files[i].tensors);
    write_text(folder / files[i].name, header);
    uint64_t size = header.size();
    for (const auto& tensor : files[i].tensors) size += tensor.size;
    fs::resize_file(folder / files[i].name, size);
  }
  if (files.size() > 1) write_index(files, folder);
}

}  // namespace pippin

#include "source/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "source/json_text.h"
#include "source/pipeline_folder.h"
#include "source/quoted_text.h"
#include "source/safetensors.h"
#include "source/tensor_merge.h"
#include "source/weight_files.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Status check_folder(const fs::path& folder) {
  std::error_code error;
  const auto status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) {
    return fail(ErrorTag::not_found, "the source is a folder", fmt::format("{} does not exist", folder.string()),
                "check the path");
  }
  if (error) {
    return fail(ErrorTag::io, "the source can be examined", fmt::format("{}: {}", folder.string(), error.message()),
                "check the rights of the folder");
  }
  if (status.type() != fs::file_type::directory) {
    return fail(ErrorTag::usage, "the source is a folder", fmt::format("{} is a file", folder.string()),
                fmt::format("give its folder: {}", folder.has_parent_path() ? folder.parent_path().string() : "."));
  }
  return {};
}

// Why a folder has no config.json, as far as other files tell.
std::string way_out_without_config(const fs::path& folder) {
  struct Row {
    const char* present;
    const char* way_out;
  };
  constexpr Row rows[] = {
      {"snapshots", "this is a cache folder of the Hub: give the folder below snapshots/"},
      {"adapter_config.json", "this is an adapter: merge it into its base model first"},
      {"model_index.json", "this is a pipeline of several models: give the folder of one of them"},
      {"params.json", "this is the maker's own layout: use a version of the model with config.json"},
  };
  std::error_code ignored;
  for (const auto& row : rows) {
    if (fs::exists(folder / row.present, ignored)) return row.way_out;
  }
  return "give the folder of a model as it stands on the Hub";
}

Result<Json> read_object(const fs::path& path) {
  PIPPIN_TRY(Json json, read_json(path));
  if (!json.is_object()) {
    return fail(ErrorTag::bad_config, fmt::format("{} is a JSON object", path.filename().string()),
                fmt::format("{} is of type {}", path.string(), json.type_name()), "download the file again");
  }
  return json;
}

Result<Json> config_of(const fs::path& folder) {
  PIPPIN_CHECK(check_single_model(folder));
  const fs::path path = folder / "config.json";
  std::error_code ignored;
  if (fs::symlink_status(path, ignored).type() == fs::file_type::not_found) {
    return fail(ErrorTag::not_found, "the folder has a config.json", fmt::format("{} has none", folder.string()),
                way_out_without_config(folder));
  }
  return read_object(path);
}

// generation_config.json only gives defaults, so a broken one counts as missing, with a warning.
Json read_generation_config(const fs::path& folder, std::vector<std::string>& warnings) {
  const fs::path path = folder / "generation_config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  auto json = read_json(path);
  if (json && json->is_object()) return std::move(*json);
  warnings.push_back(fmt::format("ignored: {}", json ? path.string() + " is no JSON object" : json.error().value));
  return nullptr;
}

// hf_quant_config.json says how the weights are packed, so a broken one is an error.
Result<Json> read_hf_quant_config(const fs::path& folder) {
  const fs::path path = folder / "hf_quant_config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  return read_object(path);
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const fs::path& folder, FileSelection selection, const OpenSource& open_source) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  PIPPIN_CHECK(check_folder(folder));
  PIPPIN_TRY(checkpoint.config_, config_of(folder));
  checkpoint.generation_config_ = read_generation_config(folder, checkpoint.warnings_);
  PIPPIN_TRY(checkpoint.hf_quant_config_, read_hf_quant_config(folder));

  PIPPIN_TRY(WeightFiles chosen, choose_weight_files(folder, selection));
  checkpoint.warnings_.insert(checkpoint.warnings_.end(), chosen.warnings.begin(), chosen.warnings.end());
  std::vector<TensorInfo> tensors;
  for (const auto& name : chosen.names) {
    PIPPIN_TRY(auto file, open_source((folder / name).string()));
    PIPPIN_TRY(auto header, read_safetensors_header(*file));
    const auto number = static_cast<uint32_t>(checkpoint.files_.size());
    for (auto& entry : header.entries) {
      tensors.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape), number, entry.offset, entry.size});
    }
    checkpoint.files_.push_back(std::move(file));
    checkpoint.metadata_.push_back(std::move(header.metadata));
  }
  PIPPIN_TRY(checkpoint.tensors_,
             merge_tensors(std::move(tensors), folder, chosen, checkpoint.files_, checkpoint.warnings_));
  return checkpoint;
}

Result<Json> Checkpoint::read_config(const fs::path& folder) {
  PIPPIN_CHECK(check_folder(folder));
  return config_of(folder);
}

Result<Json> Checkpoint::read_part(const std::string& path) const {
  std::error_code ignored;
  if (!fs::exists(folder_ / path, ignored)) {
    return fail(ErrorTag::not_found, "a part of config.json stands in a file of its own",
                fmt::format("{} is missing", (folder_ / path).string()), "download the whole repository");
  }
  return read_object(folder_ / path);
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(tensors_, name, {}, [](const auto& t) { return std::string_view(t.name); });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

Status Checkpoint::read(const TensorInfo& tensor, uint64_t begin, std::span<std::byte> out) const {
  if (tensor.file >= files_.size() || begin > tensor.size || out.size() > tensor.size - begin) {
    return fail(ErrorTag::io, "a read lies inside its tensor",
                fmt::format("{}: {} bytes from {} of {}", in_quotes(tensor.name), out.size(), begin, tensor.size));
  }
  return files_[tensor.file]->read(tensor.offset + begin, out);
}

}  // namespace pippin

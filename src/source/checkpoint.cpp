#include "source/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "source/json_text.h"
#include "source/quoted_text.h"
#include "source/safetensors.h"
#include "source/weight_files.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Status check_folder(const fs::path& folder) {
  std::error_code error;
  const auto status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) {
    return fail(ErrorTag::not_found, "the source is a folder", fmt::format("{} does not exist", folder.string()));
  }
  if (error) {
    return fail(ErrorTag::io, "the source can be examined", fmt::format("{}: {}", folder.string(), error.message()));
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

Result<Json> read_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  std::error_code ignored;
  if (fs::symlink_status(path, ignored).type() == fs::file_type::not_found) {
    return fail(ErrorTag::not_found, "the folder has a config.json", fmt::format("{} has none", folder.string()),
                way_out_without_config(folder));
  }
  PIPPIN_TRY(Json config, read_json(path));
  if (!config.is_object()) {
    return fail(ErrorTag::bad_config, "config.json is a JSON object",
                fmt::format("{} is of type {}", path.string(), config.type_name()));
  }
  return config;
}

// A file that may be missing. Null, with a warning, where it is no JSON object.
Json read_optional(const fs::path& path, std::vector<std::string>& warnings) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  auto json = read_json(path);
  if (json && json->is_object()) return std::move(*json);
  warnings.push_back(fmt::format("ignored: {}", json ? path.string() + " is no JSON object" : json.error().value));
  return nullptr;
}

// A tensor that stands in more than one file.
using Copies = std::span<const TensorInfo>;

std::string base_name(const ByteSource& file) {
  return fs::path(file.name()).filename().string();
}

// Joins the tensors of all files: one of each name, checked against the index.
class Merger {
 public:
  Merger(const fs::path& folder, const WeightFiles& chosen, const std::vector<std::unique_ptr<ByteSource>>& files,
         std::vector<std::string>& warnings)
      : folder_(folder), chosen_(chosen), files_(files), warnings_(warnings) {}

  Result<std::vector<TensorInfo>> merge(std::vector<TensorInfo> tensors) {
    std::ranges::sort(tensors,
                      [](const auto& a, const auto& b) { return std::tie(a.name, a.file) < std::tie(b.name, b.file); });
    std::vector<TensorInfo> merged;
    merged.reserve(tensors.size());
    for (size_t begin = 0; begin < tensors.size();) {
      size_t end = begin + 1;
      while (end < tensors.size() && tensors[end].name == tensors[begin].name) ++end;
      PIPPIN_TRY(const size_t kept, choose(Copies(tensors).subspan(begin, end - begin)));
      merged.push_back(std::move(tensors[begin + kept]));
      begin = end;
    }
    PIPPIN_CHECK(check_index(merged));
    report();
    return merged;
  }

 private:
  [[nodiscard]] const WeightIndex::Row* row_of(std::string_view tensor) const {
    if (!chosen_.index) return nullptr;
    const auto& rows = chosen_.index->rows;
    const auto row =
        std::ranges::lower_bound(rows, tensor, {}, [](const auto& r) { return std::string_view(r.tensor); });
    return row != rows.end() && row->tensor == tensor ? &*row : nullptr;
  }

  Result<size_t> choose(Copies copies) {
    const WeightIndex::Row* row = row_of(copies.front().name);
    if (chosen_.index && !row) not_indexed_.push_back(copies.front().name);
    if (copies.size() == 1) return 0;
    if (row) {
      const auto kept = std::ranges::find(copies, row->file, &TensorInfo::file);
      if (kept != copies.end()) {
        decided_.push_back(copies.front().name);
        return static_cast<size_t>(kept - copies.begin());
      }
    }
    for (size_t i = 1; i < copies.size(); ++i) {
      PIPPIN_TRY(const bool same, are_same(copies[0], copies[i]));
      if (!same) {
        return fail(ErrorTag::mismatch, "a tensor stands in one file, or in all with the same bytes",
                    fmt::format("{} differs between {} and {}", in_quotes(copies[0].name),
                                base_name(*files_[copies[0].file]), base_name(*files_[copies[i].file])),
                    fmt::format("remove the file that does not belong to the model, or add its {}", weight_index_file));
      }
    }
    identical_.push_back(copies.front().name);
    return 0;
  }

  Result<bool> are_same(const TensorInfo& a, const TensorInfo& b) const {
    if (a.dtype != b.dtype || a.shape != b.shape) return false;
    constexpr uint64_t block = uint64_t{1} << 20;
    std::vector<std::byte> left(std::min(block, a.size));
    std::vector<std::byte> right(left.size());
    for (uint64_t at = 0; at < a.size; at += block) {
      const size_t size = std::min(block, a.size - at);
      PIPPIN_CHECK(files_[a.file]->read(a.offset + at, std::span(left).first(size)));
      PIPPIN_CHECK(files_[b.file]->read(b.offset + at, std::span(right).first(size)));
      if (std::memcmp(left.data(), right.data(), size) != 0) return false;
    }
    return true;
  }

  static const TensorInfo* find_in(const std::vector<TensorInfo>& tensors, std::string_view name) {
    const auto found =
        std::ranges::lower_bound(tensors, name, {}, [](const auto& t) { return std::string_view(t.name); });
    return found != tensors.end() && found->name == name ? &*found : nullptr;
  }

  // Every tensor of the index lies in the file that the index names.
  Status check_index(const std::vector<TensorInfo>& merged) {
    if (chosen_.stale_index) return check_stale_index(merged);
    if (!chosen_.index) return {};
    constexpr size_t longest_list = 20;
    std::vector<std::string> details;
    size_t count = 0;
    for (const auto& row : chosen_.index->rows) {
      const TensorInfo* found = find_in(merged, row.tensor);
      if (found && found->file == row.file) continue;
      if (++count > longest_list) continue;
      std::string detail = fmt::format("{} is not in {}", in_quotes(row.tensor), chosen_.index->files[row.file]);
      if (found) detail += fmt::format(", but in {}", base_name(*files_[found->file]));
      details.push_back(std::move(detail));
    }
    if (count == 0) return {};
    if (count > longest_list) details.push_back(fmt::format("and {} more", count - longest_list));
    return fail(ErrorTag::mismatch, "every tensor of the index lies in the file that the index names",
                fmt::format("{}: {} tensors do not", (folder_ / weight_index_file).string(), count),
                "download the model again; or remove the index if the files are complete without it",
                std::move(details));
  }

  // None of the index's files is there: the index is of another cut of the model, or the files are of another model.
  Status check_stale_index(const std::vector<TensorInfo>& merged) {
    const WeightIndex& index = *chosen_.stale_index;
    const auto absent = std::ranges::find_if(index.rows, [&](const auto& row) { return !find_in(merged, row.tensor); });
    if (absent != index.rows.end()) {
      return tl::unexpected<Error>(error_of_missing_files(folder_, index.files, index.files.size(), chosen_.names));
    }
    warnings_.push_back(fmt::format("ignored: {} names {} files that do not exist; those that do hold all its tensors",
                                    weight_index_file, index.files.size()));
    return {};
  }

  void report() {
    const auto warn = [&](const std::vector<std::string>& names, std::string_view what) {
      if (names.empty()) return;
      const std::string more = names.size() > 1 ? fmt::format(" and {} more tensors", names.size() - 1) : "";
      warnings_.push_back(fmt::format("{}{} {}", in_quotes(names.front()), more, what));
    };
    warn(not_indexed_, fmt::format("not in {}, but in a file that it names: kept", weight_index_file));
    warn(decided_, fmt::format("in several files: read from the one that {} names", weight_index_file));
    warn(identical_, "in several files with the same bytes: read once");
  }

  const fs::path& folder_;
  const WeightFiles& chosen_;
  const std::vector<std::unique_ptr<ByteSource>>& files_;
  std::vector<std::string>& warnings_;
  std::vector<std::string> not_indexed_;
  std::vector<std::string> decided_;
  std::vector<std::string> identical_;
};

}  // namespace

Result<Checkpoint> Checkpoint::open(const fs::path& folder, FileSelection selection) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  PIPPIN_CHECK(check_folder(folder));
  PIPPIN_TRY(checkpoint.config_, read_config(folder));
  checkpoint.generation_config_ = read_optional(folder / "generation_config.json", checkpoint.warnings_);
  checkpoint.hf_quant_config_ = read_optional(folder / "hf_quant_config.json", checkpoint.warnings_);

  PIPPIN_TRY(WeightFiles chosen, choose_weight_files(folder, selection));
  checkpoint.warnings_.insert(checkpoint.warnings_.end(), chosen.warnings.begin(), chosen.warnings.end());
  std::vector<TensorInfo> tensors;
  for (const auto& name : chosen.names) {
    PIPPIN_TRY(auto file, open_file((folder / name).string()));
    PIPPIN_TRY(auto header, read_safetensors_header(*file));
    const auto number = static_cast<uint32_t>(checkpoint.files_.size());
    for (auto& entry : header.entries) {
      tensors.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape), number, entry.offset, entry.size});
    }
    checkpoint.files_.push_back(std::move(file));
    checkpoint.metadata_.push_back(std::move(header.metadata));
  }
  Merger merger(folder, chosen, checkpoint.files_, checkpoint.warnings_);
  PIPPIN_TRY(checkpoint.tensors_, merger.merge(std::move(tensors)));
  return checkpoint;
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

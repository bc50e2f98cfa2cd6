#include "source/tensor_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <tuple>

#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

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
      std::string detail =
          fmt::format("{} is not in {}", in_quotes(row.tensor), printable(chosen_.index->files[row.file]));
      if (found) detail += fmt::format(", but in {}", base_name(*files_[found->file]));
      details.push_back(std::move(detail));
    }
    if (count == 0) return {};
    if (count > longest_list) details.push_back(fmt::format("and {} more", count - longest_list));
    return fail(ErrorTag::mismatch, "every tensor of the index lies in the file that the index names",
                fmt::format("{}: {} of {} tensors elsewhere or nowhere", (folder_ / weight_index_file).string(), count,
                            chosen_.index->rows.size()),
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

Result<std::vector<TensorInfo>> merge_tensors(std::vector<TensorInfo> tensors, const fs::path& folder,
                                              const WeightFiles& chosen,
                                              const std::vector<std::unique_ptr<ByteSource>>& files,
                                              std::vector<std::string>& warnings) {
  return Merger(folder, chosen, files, warnings).merge(std::move(tensors));
}

}  // namespace pippin

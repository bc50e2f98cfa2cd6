#include "source/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <system_error>

#include "source/quoted_text.h"

namespace pippin {
namespace {

using Names = std::vector<std::string>;

constexpr std::string_view extension = ".safetensors";
constexpr size_t longest_list = 20;
constexpr std::array<std::string_view, 11> other_weights{".bin", ".gguf",    ".pth",  ".pt",   ".npz", ".ckpt",
                                                         ".h5",  ".msgpack", ".onnx", ".nemo", ".pkl"};

// Names in the folder, hidden ones left out as by a shell's "*".
Result<Names> names_in(const std::filesystem::path& folder) {
  std::error_code error;
  Names names;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  if (error) {
    return fail(ErrorTag::io, "the folder can be listed", fmt::format("{}: {}", folder.string(), error.message()));
  }
  std::ranges::sort(names);
  return names;
}

template <typename Predicate>
Names filtered(const Names& names, Predicate predicate) {
  Names kept;
  std::ranges::copy_if(names, std::back_inserter(kept), predicate);
  return kept;
}

// An adapter changes a model and is none.
bool is_adapter(std::string_view name) {
  return name.starts_with("adapter") || name.starts_with("model_adapter");
}

// The same weights once more, under the names of the model's maker.
bool is_consolidated(std::string_view name) {
  return name.starts_with("consolidated");
}

bool selected(std::string_view name, FileSelection selection) {
  if (is_adapter(name)) return false;
  if (selection == FileSelection::mlx_lm) return name.starts_with("model");
  return !name.ends_with("consolidated.safetensors");
}

// "a, b and 3 more"
std::string list_of(const Names& names) {
  constexpr size_t shown = 4;
  std::string list;
  for (size_t i = 0; i < std::min(shown, names.size()); ++i) list += (i > 0 ? ", " : "") + printable(names[i]);
  if (names.size() > shown) list += fmt::format(" and {} more", names.size() - shown);
  return list;
}

Names cut(const Names& names) {
  Names kept;
  for (size_t i = 0; i < std::min(longest_list, names.size()); ++i) kept.push_back(printable(names[i]));
  if (names.size() > longest_list) kept.push_back(fmt::format("and {} more", names.size() - longest_list));
  return kept;
}

void warn_of_left_out(const Names& present, const Names& chosen, std::string_view why,
                      std::vector<std::string>& warnings) {
  const std::set<std::string_view> used(chosen.begin(), chosen.end());
  const Names left = filtered(present, [&](const auto& name) { return !used.contains(name); });
  if (!left.empty()) warnings.push_back(fmt::format("left out, {}: {}", why, list_of(left)));
}

// "model-00002-of-00005.safetensors" tells that there are five; gives the missing ones of such rows.
Names missing_of_rows(const Names& chosen) {
  std::map<std::string, std::set<unsigned long>> rows;  // "model-*-of-00005.safetensors": numbers
  for (const auto& name : chosen) {
    const size_t of = name.rfind("-of-");
    if (of == std::string::npos || of < 6 || name[of - 6] != '-') continue;
    const std::string number = name.substr(of - 5, 5);
    const std::string count = name.substr(of + 4, name.size() - of - 4 - extension.size());
    const auto is_number = [](std::string_view text) {
      return text.size() == 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (is_number(number) && is_number(count))
      rows[name.substr(0, of - 5) + "*" + name.substr(of)].insert(std::stoul(number));
  }
  Names missing;
  for (const auto& [pattern, numbers] : rows) {
    const unsigned long count = std::stoul(pattern.substr(pattern.rfind("-of-") + 4, 5));
    const bool from_zero = numbers.contains(0);
    for (unsigned long i = from_zero ? 0 : 1; i < count + (from_zero ? 0 : 1); ++i) {
      const size_t star = pattern.rfind('*');
      if (!numbers.contains(i))
        missing.push_back(fmt::format("{}{:05d}{}", pattern.substr(0, star), i, pattern.substr(star + 1)));
    }
  }
  return missing;
}

// Folders one level down that hold safetensors: the parts of a pipeline.
Names folders_with_weights(const std::filesystem::path& folder, const Names& names) {
  return filtered(names, [&](const auto& name) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder / name, ignored)) return false;
    const auto below = names_in(folder / name);
    return below && std::ranges::any_of(*below, [](const auto& file) { return file.ends_with(extension); });
  });
}

tl::unexpected<Error> no_weights(const std::filesystem::path& folder, const Names& names, const Names& present) {
  std::string way_out = "give the folder of a model in safetensors format";
  Names details = cut(present);
  const bool all_adapters = !present.empty() && std::ranges::all_of(present, is_adapter);
  const bool all_consolidated = !present.empty() && std::ranges::all_of(present, is_consolidated);
  if (all_adapters) {
    way_out = "this is an adapter: merge it into its base model first, then convert the result";
  } else if (all_consolidated) {
    way_out = "these files use the maker's own tensor names: convert a version of the model with model*.safetensors";
  } else if (!present.empty()) {
    way_out = fmt::format("name the weights model.safetensors, or list the files in {}", weight_index_file);
  } else {
    details = cut(filtered(names, [](std::string_view name) {
      return std::ranges::any_of(other_weights, [&](auto other) { return name.ends_with(other); });
    }));
    if (!details.empty())
      way_out = "pippin reads safetensors: look for a safetensors version of the model";
    else if (const Names folders = folders_with_weights(folder, names); !folders.empty()) {
      way_out = fmt::format("give one of its folders that hold weights: {}", list_of(folders));
    }
  }
  return fail(ErrorTag::not_found, "the folder holds the model's weights as *.safetensors",
              fmt::format("{} holds {}", folder.string(), details.empty() ? "no weights" : "only"), way_out, details);
}

// The files that count without an index.
Result<Names> choose_by_name(const std::filesystem::path& folder, FileSelection selection, const Names& names,
                             const Names& present, std::vector<std::string>& warnings) {
  Names chosen = filtered(present, [&](const auto& name) { return selected(name, selection); });
  if (chosen.empty()) {
    const Names candidates =
        filtered(present, [](const auto& name) { return !is_adapter(name) && !is_consolidated(name); });
    if (candidates.size() != 1) return no_weights(folder, names, present);
    chosen = candidates;
    warnings.push_back(
        fmt::format("the weights are in {}, as there is no model*.safetensors", printable(chosen.front())));
  }
  warn_of_left_out(present, chosen, "as their names are not those of a model's weights", warnings);
  return chosen;
}

// Leaves the rows and files of an index that `kept` does not name.
WeightIndex restricted(WeightIndex index, const Names& kept) {
  WeightIndex out;
  out.files = kept;
  for (auto& row : index.rows) {
    const auto place = std::ranges::lower_bound(kept, index.files[row.file]);
    if (place == kept.end() || *place != index.files[row.file]) continue;
    out.rows.push_back({std::move(row.tensor), static_cast<uint32_t>(place - kept.begin())});
  }
  return out;
}

Result<WeightFiles> choose_by_index(const std::filesystem::path& folder, FileSelection selection, WeightIndex index,
                                    const Names& names, const Names& present) {
  WeightFiles files;
  // mlx-lm reads model*.safetensors alone, index or not. Odd names that only the index knows are read here, but not
  // a second copy of the model or an adapter.
  Names wanted = index.files;
  if (selection == FileSelection::mlx_lm) {
    Names main = filtered(wanted, [](const auto& name) { return !is_adapter(name) && !is_consolidated(name); });
    if (!main.empty()) wanted = std::move(main);
  }
  const Names missing = filtered(wanted, [&](const auto& name) {
    std::error_code ignored;
    return std::filesystem::symlink_status(folder / name, ignored).type() == std::filesystem::file_type::not_found;
  });
  if (!missing.empty()) {
    const bool all_missing = missing.size() == wanted.size();
    const bool others = std::ranges::any_of(present, [&](const auto& name) { return selected(name, selection); });
    if (!all_missing || !others) {
      return tl::unexpected<Error>(error_of_missing_files(folder, missing, wanted.size(), present));
    }
    PIPPIN_TRY(files.names, choose_by_name(folder, selection, names, present, files.warnings));
    files.stale_index = std::move(index);
    return files;
  }
  warn_of_left_out(present, wanted,
                   wanted.size() == index.files.size() ? fmt::format("as {} does not name them", weight_index_file)
                                                       : "as mlx-lm does not read them",
                   files.warnings);
  files.index = restricted(std::move(index), wanted);
  files.names = std::move(wanted);
  return files;
}

}  // namespace

Error error_of_missing_files(const std::filesystem::path& folder, const std::vector<std::string>& missing, size_t named,
                             const std::vector<std::string>& present) {
  Error error{ErrorTag::not_found, "every file that the index names is there",
              fmt::format("{}: {} of the {} files that {} names are missing", folder.string(), missing.size(), named,
                          weight_index_file),
              "download the missing files", cut(missing)};
  if (missing.size() == named && !present.empty()) {
    error.value += fmt::format("; the folder holds {}", list_of(present));
    error.way_out += ", or the index that belongs to the files that are there";
  }
  return error;
}

Result<WeightFiles> choose_weight_files(const std::filesystem::path& folder, FileSelection selection) {
  PIPPIN_TRY(const Names names, names_in(folder));
  const Names present = filtered(names, [](const auto& name) { return name.ends_with(extension); });
  if (std::ranges::binary_search(names, std::string(weight_index_file))) {
    PIPPIN_TRY(WeightIndex index, read_weight_index(folder / weight_index_file));
    return choose_by_index(folder, selection, std::move(index), names, present);
  }
  WeightFiles files;
  PIPPIN_TRY(files.names, choose_by_name(folder, selection, names, present, files.warnings));
  if (const Names missing = missing_of_rows(files.names); !missing.empty()) {
    return fail(ErrorTag::not_found, "all files of a numbered row are there",
                fmt::format("{}: {} of {} files are missing", folder.string(), missing.size(),
                            missing.size() + files.names.size()),
                "download the missing files", cut(missing));
  }
  return files;
}

}  // namespace pippin

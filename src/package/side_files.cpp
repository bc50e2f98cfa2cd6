#include "package/side_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>

#include "package/disk.h"
#include "source/ascii_text.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr size_t deepest_folder = 4;
constexpr size_t most_files_in_folder = 1000;

constexpr std::string_view carried_endings[] = {".json",  ".jsonl", ".py",  ".txt",
                                                ".jinja", ".model", ".spm", ".tiktoken"};
constexpr std::string_view carried_beginnings[] = {"tokenizer", "vocab",   "merges", "chat_template",
                                                   "license",   "licence", "notice", "copying"};
constexpr std::string_view known_names[] = {"added_tokens.json",
                                            "special_tokens_map.json",
                                            "generation_config.json",
                                            "preprocessor_config.json",
                                            "processor_config.json",
                                            "image_processor.json",
                                            "video_preprocessor_config.json",
                                            "tekken.json",
                                            "params.json",
                                            "spiece.model",
                                            "sentencepiece.bpe.model",
                                            "tiktoken.model"};
constexpr std::string_view dropped_endings[] = {
    ".index.json", ".safetensors", ".bin", ".pth", ".pt",  ".ckpt",   ".gguf",      ".ggml",    ".h5",
    ".msgpack",    ".onnx",        ".npz", ".npy", ".pkl", ".tflite", ".onnx_data", ".mlmodel", ".mlpackage"};
constexpr std::string_view dropped_beginnings[] = {"adapter_",  "adapters.", "training_args", "trainer_state",
                                                   "optimizer", "rng_state", "pytorch_model", "consolidated"};
constexpr std::string_view dropped_names[] = {"config.json",          "readme.md",          "hf_quant_config.json",
                                              "quantize_config.json", "quant_config.json",  "offload_index.json",
                                              "all_results.json",     "train_results.json", "eval_results.json"};
constexpr std::string_view template_folders[] = {"chat_template", "chat_templates", "additional_chat_templates"};
constexpr std::string_view dropped_folders[] = {"original", "onnx", "openvino", "coreml", "gguf", "runs", "logs"};

template <size_t size>
bool begins_with_one_of(std::string_view name, const std::string_view (&list)[size]) {
  return std::any_of(list, list + size, [&](std::string_view entry) { return name.starts_with(entry); });
}

template <size_t size>
bool ends_with_one_of(std::string_view name, const std::string_view (&list)[size]) {
  return std::any_of(list, list + size, [&](std::string_view entry) { return name.ends_with(entry); });
}

template <size_t size>
bool is_one_of(std::string_view name, const std::string_view (&list)[size]) {
  return std::find(list, list + size, name) != list + size;
}

bool is_dropped(std::string_view lower) {
  return lower.starts_with('.') || is_one_of(lower, dropped_names) || ends_with_one_of(lower, dropped_endings) ||
         begins_with_one_of(lower, dropped_beginnings);
}

bool has_known_form(std::string_view lower) {
  return begins_with_one_of(lower, carried_beginnings) || lower.find("use_policy") != std::string_view::npos;
}

// In a folder of its own, config.json is that part's and not the model's.
bool is_carried_in_folder(std::string_view name) {
  return lower_case(name) == "config.json" || is_side_file(name);
}

tl::unexpected<Error> list_failure(const fs::path& folder, const std::error_code& error) {
  return fail(ErrorTag::io, "the source folder can be listed", fmt::format("{}: {}", folder.string(), error.message()));
}

// What a folder holds, by name. Links are followed to files, not to folders.
struct Listing {
  std::vector<std::string> files;
  std::vector<std::string> folders;
  std::vector<std::string> broken_links;
};

Result<Listing> list_folder(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code ignored;
    const auto name = entry->path().filename().string();
    const auto link = entry->symlink_status(ignored);
    const auto target = entry->status(ignored);
    if (fs::is_regular_file(target)) listing.files.push_back(name);
    if (fs::is_directory(link)) listing.folders.push_back(name);
    if (fs::is_symlink(link) && !fs::exists(target)) listing.broken_links.push_back(name);
  }
  if (error) return list_failure(folder, error);
  for (auto* names : {&listing.files, &listing.folders, &listing.broken_links}) std::sort(names->begin(), names->end());
  return listing;
}

// Collects a folder's files; false where it holds anything that is not carried.
Result<bool> collect_folder(const fs::path& source, const fs::path& folder, size_t depth,
                            std::vector<fs::path>& files) {
  if (depth > deepest_folder) return false;
  PIPPIN_TRY(const auto listing, list_folder(source / folder));
  if (!listing.broken_links.empty()) return false;
  for (const auto& name : listing.files) {
    if (!is_carried_in_folder(name) || files.size() >= most_files_in_folder) return false;
    files.push_back(folder / name);
  }
  for (const auto& name : listing.folders) {
    PIPPIN_TRY(const bool carried, collect_folder(source, folder / name, depth + 1, files));
    if (!carried) return false;
  }
  return true;
}

Result<bool> holds_weights(const fs::path& folder) {
  PIPPIN_TRY(const auto listing, list_folder(folder));
  return std::any_of(listing.files.begin(), listing.files.end(),
                     [](const std::string& name) { return lower_case(name).ends_with(".safetensors"); });
}

Status add_folder(const fs::path& source, const std::string& name, std::string_view target, SideFiles& found) {
  const auto lower = lower_case(name);
  const bool is_template = is_one_of(lower, template_folders);
  if (lower.starts_with('.') || is_one_of(lower, dropped_folders) || lower.starts_with("checkpoint-")) return {};
  if (target != "mlx-vlm" && !is_template) return {};
  std::vector<fs::path> files;
  PIPPIN_TRY(const bool carried, collect_folder(source, name, 1, files));
  if (carried) {
    found.files.insert(found.files.end(), files.begin(), files.end());
    return {};
  }
  PIPPIN_TRY(const bool weights, holds_weights(source / name));
  if (weights || is_template)
    found.warnings.push_back(fmt::format("the folder {} is not carried over: it holds other files than {}", name,
                                         weights ? "configs, and its weights are not converted" : "templates"));
  return {};
}

bool is_lfs_pointer(const fs::path& file) {
  constexpr std::string_view begin = "version https://git-lfs.github.com/spec/";
  std::array<char, begin.size()> text{};
  std::ifstream stream(file, std::ios::binary);
  return stream.read(text.data(), text.size()) && std::string_view(text.data(), text.size()) == begin;
}

Status check_complete(const fs::path& source, const SideFiles& found) {
  for (const auto& file : found.files)
    if (is_lfs_pointer(source / file))
      return fail(ErrorTag::bad_file, "the source's files are the files, not Git LFS pointers to them",
                  (source / file).string(), "run `git lfs pull` in the source folder");
  return {};
}

void warn_of_names_differing_in_case(SideFiles& found) {
  std::map<std::string, std::string> seen;
  for (const auto& file : found.files) {
    const auto [other, is_new] = seen.emplace(lower_case(file.string()), file.string());
    if (!is_new)
      found.warnings.push_back(
          fmt::format("{} and {} differ only in case; a disk that takes no notice of case keeps one", other->second,
                      file.string()));
  }
}

}  // namespace

bool is_side_file(std::string_view name) {
  const auto lower = lower_case(name);
  return !is_dropped(lower) && (ends_with_one_of(lower, carried_endings) || has_known_form(lower) ||
                                lower.find("policy") != std::string::npos);
}

bool is_known_side_file(std::string_view name) {
  const auto lower = lower_case(name);
  return !is_dropped(lower) && (is_one_of(lower, known_names) || has_known_form(lower));
}

Result<SideFiles> find_side_files(const fs::path& source, std::string_view target) {
  PIPPIN_TRY(const auto listing, list_folder(source));
  SideFiles found;
  for (const auto& name : listing.broken_links)
    if (is_side_file(name))
      return fail(ErrorTag::not_found, "the links in the source lead to files", (source / name).string(),
                  "download the model again; this copy is not complete");
  for (const auto& name : listing.files)
    if (is_side_file(name)) found.files.emplace_back(name);
  for (const auto& name : listing.folders) PIPPIN_CHECK(add_folder(source, name, target, found));
  std::sort(found.files.begin(), found.files.end());
  PIPPIN_CHECK(check_complete(source, found));
  warn_of_names_differing_in_case(found);
  return found;
}

Status copy_side_files(const fs::path& source, const SideFiles& side_files, const fs::path& folder) {
  for (const auto& file : side_files.files) {
    const auto to = folder / file;
    std::error_code error;
    fs::create_directories(to.parent_path(), error);
    if (error) return tl::unexpected<Error>(disk_error(error.value(), "create", to.parent_path()));
    PIPPIN_CHECK(copy_regular_file(source / file, to));
  }
  return {};
}

std::vector<std::string> missing_side_files(const SideFiles& side_files, const nlohmann::ordered_json& config,
                                            std::string_view target) {
  const auto is_there = [&](auto predicate) {
    return std::any_of(side_files.files.begin(), side_files.files.end(), [&](const fs::path& file) {
      return !file.has_parent_path() && predicate(file.filename().string());
    });
  };
  const auto is_tokenizer = [](const std::string& name) {
    return name == "tokenizer.json" || name == "tekken.json" || name.starts_with("vocab") || name.ends_with(".model") ||
           name.ends_with(".tiktoken") || name.ends_with(".spm");
  };
  const auto is_processor = [](const std::string& name) {
    return name == "preprocessor_config.json" || name == "processor_config.json";
  };

  std::vector<std::string> warnings;
  if (!is_there(is_tokenizer))
    warnings.emplace_back(
        "the source has no tokenizer file (tokenizer.json, tokenizer.model, vocab.*): the output cannot "
        "turn text into tokens");
  for (const char* part : {"vision_config", "audio_config"})
    if (target == "mlx-vlm" && config.contains(part) && config[part].is_object() && !is_there(is_processor)) {
      warnings.push_back(
          fmt::format("config.json has {}, but the source has neither preprocessor_config.json nor "
                      "processor_config.json: the output cannot take images or sound",
                      part));
      break;
    }
  return warnings;
}

}  // namespace pippin

#include "spec/spec_library.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "spec/spec_document.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

Result<std::string> read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return fail(ErrorTag::not_found, "a spec file must be readable", path.string(), "check the path given to --arch");
  }
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (text.size() > (1u << 22)) return fail(ErrorTag::bad_spec, "a spec file is at most 4 MiB", path.string());
  return text;
}

}  // namespace

SpecLibrary SpecLibrary::built_in() {
  SpecLibrary library;
  for (const auto& file : embedded_specs()) library.texts_.emplace(file.name, file.text);
  return library;
}

Result<std::vector<std::string>> SpecLibrary::add(const fs::path& path, const std::string& target_folder) {
  std::vector<fs::path> files;
  std::error_code code;
  if (fs::is_directory(path, code)) {
    for (fs::recursive_directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
      if (it->path().extension() == ".toml") files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) {
      return fail(ErrorTag::not_found, "a folder of specs holds .toml files", path.string(),
                  "check the path given to --arch");
    }
  } else {
    files.push_back(path);
  }
  std::vector<std::string> names;
  for (const auto& file : files) {
    PIPPIN_TRY(std::string text, read_text(file));
    std::string folder = file.parent_path().filename().string();
    if (folder != "mlx_lm" && folder != "mlx_vlm" && folder != "fragments") folder = target_folder;
    const std::string name = folder + "/" + file.stem().string();
    texts_.insert_or_assign(name, std::move(text));
    names.push_back(name);
  }
  compiled_.clear();
  documents_.clear();
  return names;
}

std::string SpecLibrary::resolve(const std::string& name, const std::string& from) const {
  if (name.find('/') != std::string::npos) return name;
  std::string beside = folder_of(from) + "/" + name;
  if (texts_.contains(beside)) return beside;
  return "fragments/" + name;
}

Result<nlohmann::ordered_json> SpecLibrary::document(const std::string& name, int depth) const {
  if (const auto found = documents_.find(name); found != documents_.end()) return found->second;
  const auto text = texts_.find(name);
  if (text == texts_.end()) {
    return fail(ErrorTag::bad_spec, "extends and include name a spec that exists", name, "see `pippin architectures`");
  }
  if (depth > 16) return fail(ErrorTag::bad_spec, "extends must not run in a circle", name);
  PIPPIN_TRY(nlohmann::ordered_json own, parse_toml(text->second, name + ".toml"));
  expand_module_keys(own);
  if (own.contains("extends")) {
    if (!own["extends"].is_string()) return fail(ErrorTag::bad_spec, "extends names one spec", name);
    PIPPIN_TRY(nlohmann::ordered_json base, document(resolve(own["extends"].get<std::string>(), name), depth + 1));
    PIPPIN_TRY(own, merge_documents(std::move(base), own, name + ".toml"));
  }
  documents_.emplace(name, own);
  return own;
}

Result<nlohmann::ordered_json> SpecLibrary::document(const std::string& name) const {
  return document(name, 0);
}

Result<SpecPtr> SpecLibrary::spec(const std::string& name) const {
  if (const auto found = compiled_.find(name); found != compiled_.end()) return found->second;
  PIPPIN_TRY(nlohmann::ordered_json merged, document(name, 0));
  PIPPIN_TRY(Spec compiled, compile_spec(name, merged));
  auto pointer = std::make_shared<const Spec>(std::move(compiled));
  compiled_.emplace(name, pointer);
  return pointer;
}

Result<std::string> SpecLibrary::find(const std::string& folder, const std::string& model_type,
                                      const std::vector<std::string>& architectures) const {
  std::string by_type;
  for (const auto& [name, text] : texts_) {
    if (folder_of(name) != folder) continue;
    // Only files that could answer are parsed: the model type stands in their text or is their name.
    const std::string stem = name.substr(folder.size() + 1);
    if (stem != model_type && text.find('"' + model_type + '"') == std::string::npos) continue;
    PIPPIN_TRY(nlohmann::ordered_json own, parse_toml(text, name + ".toml"));
    if (own.value("fragment", false)) continue;
    const auto list = [&own](const char* key) {
      std::vector<std::string> result;
      if (!own.contains(key)) return result;
      if (own[key].is_string()) result.push_back(own[key].get<std::string>());
      if (own[key].is_array()) {
        for (const auto& item : own[key]) {
          if (item.is_string()) result.push_back(item.get<std::string>());
        }
      }
      return result;
    };
    const auto types = list("model_type");
    const bool typed = own.contains("model_type") ? std::find(types.begin(), types.end(), model_type) != types.end()
                                                  : stem == model_type;
    if (!typed) continue;
    const auto wanted = list("architecture");
    if (wanted.empty()) {
      by_type = name;
      continue;
    }
    for (const auto& architecture : architectures) {
      if (std::find(wanted.begin(), wanted.end(), architecture) != wanted.end()) return name;
    }
  }
  return by_type;
}

std::string SpecLibrary::base(const std::string& name) const {
  const auto text = texts_.find(name);
  if (text == texts_.end()) return "";
  const auto own = parse_toml(text->second, name + ".toml");
  if (!own || !own->contains("extends") || !(*own)["extends"].is_string()) return "";
  return resolve((*own)["extends"].get<std::string>(), name);
}

std::vector<std::string> SpecLibrary::names(const std::string& folder) const {
  std::vector<std::string> result;
  for (const auto& [name, text] : texts_) {
    if (folder_of(name) != folder) continue;
    const auto own = parse_toml(text, name + ".toml");
    if (own && own->value("fragment", false)) continue;
    result.push_back(name);
  }
  return result;
}

}  // namespace pippin

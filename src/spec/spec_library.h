// All specs: those built into the program, and those that the user adds.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"
#include "spec/spec.h"

namespace pippin {

// A file built into the program.
struct EmbeddedFile {
  std::string_view name;  // "mlx_lm/llama"
  std::string_view text;
};
std::span<const EmbeddedFile> embedded_specs();
std::span<const EmbeddedFile> embedded_recipes();

using SpecPtr = std::shared_ptr<const Spec>;

class SpecLibrary {
 public:
  // The built-in specs.
  static SpecLibrary built_in();

  // Adds one spec file, or all of a folder; they go before the built-in ones of the same name. A file counts for the
  // folder it lies in (mlx_lm, mlx_vlm, fragments) or else for `target_folder`. Gives the names added.
  Result<std::vector<std::string>> add(const std::filesystem::path& file_or_folder, const std::string& target_folder);

  // A spec by name ("mlx_lm/llama"), with what it extends merged in.
  [[nodiscard]] Result<SpecPtr> spec(const std::string& name) const;
  // The merged document, for `pippin architectures show`.
  [[nodiscard]] Result<nlohmann::ordered_json> document(const std::string& name) const;

  // The spec of a folder ("mlx_lm") for a config's model_type and architectures; an empty name where there is none.
  [[nodiscard]] Result<std::string> find(const std::string& folder, const std::string& model_type,
                                         const std::vector<std::string>& architectures) const;

  // Names of all specs of a folder, sorted; fragments are no specs.
  [[nodiscard]] std::vector<std::string> names(const std::string& folder) const;
  [[nodiscard]] bool contains(const std::string& name) const { return texts_.contains(name); }
  // The spec or fragment that this one extends; empty where there is none.
  [[nodiscard]] std::string base(const std::string& name) const;

 private:
  // Resolves "llama" inside "mlx_lm/qwen3" to "mlx_lm/llama", or to "fragments/llama" where only that exists.
  [[nodiscard]] std::string resolve(const std::string& name, const std::string& from) const;
  [[nodiscard]] Result<nlohmann::ordered_json> document(const std::string& name, int depth) const;
  friend class SpecScope;

  std::map<std::string, std::string, std::less<>> texts_;
  mutable std::map<std::string, SpecPtr> compiled_;
  mutable std::map<std::string, nlohmann::ordered_json> documents_;
};

}  // namespace pippin

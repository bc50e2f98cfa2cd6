#include "pippin/architectures.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "convert/request_of.h"
#include "spec/spec_library.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// What a verb in a spec tells of the published files it reads.
std::vector<std::string> sources_of(const Spec& spec) {
  struct Row {
    std::string_view verb;
    const char* source;
  };
  static constexpr std::array<Row, 5> rows{{{"stack", "experts one by one"},
                                            {"dequantize_blocks", "fp8 blocks"},
                                            {"mla_split", "whole kv_b_proj"},
                                            {"transpose", "transposed convolutions"},
                                            {"view", "packed bytes"}}};
  std::vector<std::string> result;
  for (const auto& row : rows) {
    const bool used = std::any_of(spec.weights.begin(), spec.weights.end(),
                                  [&row](const WeightRule& rule) { return rule.verb->name == row.verb; });
    if (used) result.emplace_back(row.source);
  }
  return result;
}

std::string patterns_text(const std::vector<NamePattern>& patterns) {
  std::vector<std::string> texts;
  texts.reserve(patterns.size());
  for (const auto& pattern : patterns) texts.push_back(pattern.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string format_text(const Json& format) {
  std::vector<std::string> parts;
  if (format.contains("mode")) parts.push_back(format["mode"].get<std::string>());
  if (format.contains("bits")) parts.push_back(fmt::format("{} bits", format["bits"].dump()));
  if (format.contains("group_size")) parts.push_back(fmt::format("group {}", format["group_size"].dump()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> quantization_of(const Spec& spec) {
  std::vector<std::string> result;
  for (const auto& rule : spec.quantize) {
    if (rule.include) {
      result.push_back(fmt::format("as {}{}", rule.include->spec, rule.at.empty() ? "" : ": below " + rule.at));
      continue;
    }
    result.push_back(fmt::format("{}: {}{}", rule.keep ? "unquantized" : format_text(rule.format),
                                 patterns_text(rule.modules),
                                 rule.only_if ? fmt::format(" (if {})", rule.only_if->text()) : ""));
  }
  if (!spec.keep_dtype.empty()) result.push_back("never cast: " + patterns_text(spec.keep_dtype));
  if (!spec.no_recipe.empty()) result.push_back("no mixed recipes: " + spec.no_recipe);
  return result;
}

}  // namespace

Result<std::vector<ArchitectureInfo>> architectures(const std::vector<std::filesystem::path>& arch) {
  PIPPIN_TRY(const SpecLibrary library, library_of(arch));
  std::vector<ArchitectureInfo> result;
  for (const Target target : {Target::mlx_lm, Target::mlx_vlm}) {
    for (const auto& name : library.names(std::string(folder_of(target)))) {
      PIPPIN_TRY(const SpecPtr spec, library.spec(name));
      result.push_back({name, std::string(name_of(target)), spec->model_types, spec->title, spec->notes, spec->refuse,
                        sources_of(*spec), quantization_of(*spec), spec->architectures, spec->decoder.has_value()});
    }
  }
  return result;
}

Result<std::string> architecture_document(const std::string& name, const std::vector<std::filesystem::path>& arch) {
  PIPPIN_TRY(const SpecLibrary library, library_of(arch));
  std::string full = name;
  for (const char* folder : {"mlx_lm/", "mlx_vlm/"}) {
    if (full.find('/') == std::string::npos && library.contains(folder + full)) full = folder + full;
  }
  if (!library.contains(full)) {
    return fail(ErrorTag::not_found, "the spec must exist", name, "see `pippin architectures`");
  }
  PIPPIN_TRY(const nlohmann::ordered_json document, library.document(full));
  return document.dump(2);
}

}  // namespace pippin

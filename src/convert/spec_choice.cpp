#include "convert/spec_choice.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "convert/likeness.h"
#include "source/checkpoint.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> architectures_of(const Json& config) {
  std::vector<std::string> result;
  if (!config.contains("architectures")) return result;
  const Json& list = config["architectures"];
  if (list.is_string()) result.push_back(list.get<std::string>());
  if (list.is_array()) {
    for (const auto& item : list) {
      if (item.is_string()) result.push_back(item.get<std::string>());
    }
  }
  return result;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

std::vector<std::string> nearest(const SpecLibrary& library, const std::string& model_type) {
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const char* folder : {"mlx_lm", "mlx_vlm"}) {
    for (const auto& name : library.names(folder)) {
      const std::string type = name.substr(name.find('/') + 1);
      ranked.emplace_back(edit_distance(model_type.substr(0, 100), type), name);
    }
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < ranked.size() && i < 4; ++i) names.push_back(ranked[i].second);
  return names;
}

bool tells_of_media(const Json& config) {
  static constexpr std::array<const char*, 4> keys{"vision_config", "audio_config", "vision_tower", "mm_vision_tower"};
  return std::any_of(keys.begin(), keys.end(), [&config](const char* key) {
    return config.contains(key) && !config[key].is_null() && !config[key].empty();
  });
}

Result<std::string> spec_for(const SpecLibrary& library, Target target, const std::string& model_type,
                             const std::vector<std::string>& architectures) {
  const std::string folder(folder_of(target));
  PIPPIN_TRY(std::string exact, library.find(folder, model_type, architectures));
  if (!exact.empty() || target == Target::mlx_lm) return exact;
  std::string lower = model_type;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return library.find(folder, lower, architectures);
}

Result<SpecChoice> insisted(const SpecLibrary& library, const std::string& target, const std::string& arch_name) {
  for (const Target one : {Target::mlx_lm, Target::mlx_vlm}) {
    if (target != "auto" && target != name_of(one)) continue;
    const std::string name =
        arch_name.find('/') == std::string::npos ? fmt::format("{}/{}", folder_of(one), arch_name) : arch_name;
    if (library.contains(name) && name.starts_with(folder_of(one))) return SpecChoice{one, "the spec was named", name};
  }
  return fail(ErrorTag::usage, "--arch names a spec, a spec file or a folder of them", "--arch " + arch_name,
              "see `pippin architectures`");
}

}  // namespace

Result<std::string> model_type_of(const Json& config) {
  if (config.contains("model_type") && config["model_type"].is_string()) return config["model_type"].get<std::string>();
  return fail(ErrorTag::bad_config, "config.json says which model it is",
              config.contains("model_type") ? "config.json: model_type is " + config["model_type"].dump()
                                            : "config.json: no model_type",
              "take config.json from the model's original repository, or name the spec with --arch");
}

Result<SpecChoice> choose_spec(const SpecLibrary& library, const Json& config, const std::string& target,
                               const std::string& arch_name) {
  if (target != "auto" && target != "mlx-lm" && target != "mlx-vlm") {
    return fail(ErrorTag::usage, "--target is mlx-lm, mlx-vlm or auto", "--target " + target, "use one of the three");
  }
  if (!arch_name.empty()) return insisted(library, target, arch_name);
  PIPPIN_TRY(const std::string model_type, model_type_of(config));
  const auto architectures = architectures_of(config);
  SpecChoice choice;
  std::string lm;
  std::string vlm;
  if (target != "mlx-vlm") {
    PIPPIN_TRY(lm, spec_for(library, Target::mlx_lm, model_type, architectures));
  }
  if (target != "mlx-lm") {
    PIPPIN_TRY(vlm, spec_for(library, Target::mlx_vlm, model_type, architectures));
  }
  const bool media = tells_of_media(config);
  if (!lm.empty() && (vlm.empty() || !media)) {
    choice = {Target::mlx_lm, media ? "mlx-vlm has no such model" : "a text model", lm};
  } else if (!vlm.empty()) {
    choice = {Target::mlx_vlm, media ? "config.json tells of vision or audio" : "mlx-lm has no such model", vlm};
  } else {
    return fail(
        ErrorTag::unsupported, "the model_type must be one that pippin has a spec for",
        fmt::format("config.json: model_type \"{}\"{}", model_type, target == "auto" ? "" : " with --target " + target),
        fmt::format("nearest names: {}; a spec of your own goes in with --arch (docs: architectures/README.md)",
                    fmt::join(nearest(library, model_type), ", ")));
  }
  if (target != "auto") choice.reason.clear();
  return choice;
}

Result<SpecChoice> choose_spec_of(const std::filesystem::path& folder, const SpecLibrary& library, const Json& config,
                                  const std::string& target, const std::string& arch_name) {
  // On one core, mlx-lm's specs take 0.08 s over a model of 30 tensors and 1.5 s over one of 70,000.
  constexpr std::chrono::milliseconds limit{10000};
  auto choice = choose_spec(library, config, target, arch_name);
  if (choice || choice.error().tag != ErrorTag::unsupported) return choice;
  std::vector<Target> targets{Target::mlx_lm, Target::mlx_vlm};
  if (target != "auto") std::erase_if(targets, [&target](Target one) { return name_of(one) != target; });
  if (tells_of_media(config)) std::reverse(targets.begin(), targets.end());
  Error error = choice.error();
  for (const Target one : targets) {
    const auto selection = one == Target::mlx_lm ? FileSelection::mlx_lm : FileSelection::mlx_vlm;
    const auto checkpoint = Checkpoint::open(folder, selection);
    if (!checkpoint) continue;
    const std::string offer = offer_of(find_likeness(*checkpoint, library, one, limit));
    if (offer.empty()) continue;
    error.way_out = offer;
    break;
  }
  return tl::unexpected<Error>(std::move(error));
}

void take_model_type(const Spec& spec, Plan& plan) {
  const auto& types = spec.model_types;
  const Json found = plan.config.contains("model_type") ? plan.config["model_type"] : Json();
  if (types.empty() || std::find(types.begin(), types.end(), found) != types.end()) return;
  std::map<std::string, Json> sorted;
  for (const auto& [key, value] : plan.config.items()) sorted.emplace(key, value);
  sorted["model_type"] = types.front();
  plan.config = Json::object();
  for (auto& [key, value] : sorted) plan.config[key] = std::move(value);
  plan.warnings.push_back(
      fmt::format("config.json: model_type {} becomes \"{}\", that of the named spec", found.dump(), types.front()));
}

}  // namespace pippin

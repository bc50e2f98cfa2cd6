#include "convert/likeness.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plan/planner.h"
#include "source/ascii_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// What config.json calls the model, in small letters: model_type and architectures.
std::string names_in(const Json& config) {
  std::string text;
  if (config.contains("model_type")) text += config["model_type"].dump();
  if (config.contains("architectures")) text += config["architectures"].dump();
  return lower_case(text);
}

// How many specs extend each, directly or not.
std::map<std::string, int64_t> extensions(const SpecLibrary& library, const std::vector<std::string>& names) {
  constexpr int most_steps = 16;
  std::map<std::string, std::string> base_of;
  for (const auto& name : names) base_of[name] = library.base(name);
  std::map<std::string, int64_t> count;
  for (const auto& name : names) {
    std::string base = base_of[name];
    for (int step = 0; !base.empty() && step < most_steps; ++step) {
      ++count[base];
      const auto next = base_of.find(base);
      base = next == base_of.end() ? "" : next->second;
    }
  }
  return count;
}

std::vector<std::string> in_line(const SpecLibrary& library, Target target, const Json& config) {
  // The longest name that the config mentions first, then the spec that most others extend.
  using Rank = std::tuple<int64_t, int64_t, std::string>;
  const std::string mentioned = names_in(config);
  const auto names = library.names(std::string(folder_of(target)));
  auto extended = extensions(library, names);
  std::vector<Rank> ranks;
  for (const auto& name : names) {
    const std::string stem = lower_case(name.substr(name.find('/') + 1));
    const bool hit = mentioned.find(stem) != std::string::npos;
    ranks.emplace_back(hit ? -static_cast<int64_t>(stem.size()) : 0, -extended[name], name);
  }
  std::sort(ranks.begin(), ranks.end());
  std::vector<std::string> result;
  result.reserve(ranks.size());
  for (const auto& rank : ranks) result.push_back(std::get<2>(rank));
  return result;
}

bool fits(const Checkpoint& checkpoint, const SpecLibrary& library, const std::string& name, Target target) {
  const auto spec = library.spec(name);
  if (!spec) return false;
  PlanRequest request;
  request.target = target;
  const auto plan = make_plan(checkpoint, library, *spec, request);
  if (!plan) return false;
  uint64_t all = 0;
  for (const auto& tensor : checkpoint.tensors()) all += tensor.size;
  return plan->source_bytes >= all - all / 20;
}

}  // namespace

Likeness find_likeness(const Checkpoint& checkpoint, const SpecLibrary& library, Target target,
                       std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  Likeness likeness;
  for (const auto& name : in_line(library, target, checkpoint.config())) {
    if (std::chrono::steady_clock::now() > end)
      ++likeness.untried;
    else if (fits(checkpoint, library, name, target))
      likeness.specs.push_back(name);
  }
  return likeness;
}

std::string offer_of(const Likeness& likeness) {
  if (likeness.specs.empty()) return "";
  // Without a folder, --arch takes mlx-lm's spec first.
  const auto short_name = [](const std::string& name) {
    return name.starts_with("mlx_lm/") ? name.substr(name.find('/') + 1) : name;
  };
  const std::string first = short_name(likeness.specs.front());
  std::string text = fmt::format("looks like {} (all parameters match): use --arch {}", first, first);
  if (likeness.untried > 0) text += fmt::format(" ({} specs were not tried: it would take too long)", likeness.untried);
  if (likeness.specs.size() == 1) return text;
  std::vector<std::string> others;
  for (size_t i = 1; i < likeness.specs.size() && i < 6; ++i) others.push_back(short_name(likeness.specs[i]));
  return fmt::format("{}, if that is what it is; the parameters of {}{} match as well", text, fmt::join(others, ", "),
                     likeness.specs.size() > 6 ? fmt::format(" and {} more", likeness.specs.size() - 6) : "");
}

}  // namespace pippin

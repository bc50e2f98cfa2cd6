#include "verify/written.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "source/json_text.h"
#include "verify/written_shards.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr const char* index_name = "model.safetensors.index.json";
constexpr const char* config_name = "config.json";

std::string short_text(const Json& value) {
  constexpr size_t longest = 100;
  auto text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  return text;
}

void compare_members(const Json& written, const Json& planned, const std::string& where, Differences& differences) {
  for (const auto& [key, value] : planned.items()) {
    if (!written.contains(key)) {
      differences.add(fmt::format("{}: {} is missing", where, key));
    } else if (written[key] != value) {
      differences.add(
          fmt::format("{}: {} is {}, planned was {}", where, key, short_text(written[key]), short_text(value)));
    }
  }
  for (const auto& [key, value] : written.items())
    if (!planned.contains(key)) differences.add(fmt::format("{}: {} is not planned", where, key));
}

// Sorted objects: an index of 100,000 tensors takes too long in objects that keep their order.
void compare_index(const Plan& plan, const fs::path& folder, Differences& differences) {
  std::ifstream stream(folder / index_name, std::ios::binary);
  const auto index = Json::parse(std::istreambuf_iterator<char>(stream), {}, nullptr, false);
  if (!index.is_object()) return differences.add(fmt::format("{} is missing or no JSON", index_name));
  Json weight_map = Json::object();
  for (const auto& tensor : plan.outputs) weight_map[tensor.name] = plan.shards[tensor.shard].file;
  compare_members(index.value("weight_map", Json::object()), weight_map, index_name, differences);
  if (index.value("metadata", Json()) != Json(plan.index_metadata))
    differences.add(fmt::format("{}: metadata is {}, planned was {}", index_name,
                                short_text(index.value("metadata", Json())), short_text(plan.index_metadata)));
}

// What config.json tells a loader about a module; nothing where it says that the module is not quantized.
std::optional<QuantFormat> format_in(const Json& config, const std::string& module) {
  const auto all = config.find("quantization");
  if (all == config.end() || !all->is_object()) return std::nullopt;
  const auto own = all->find(module);
  if (own != all->end() && own->is_boolean() && !own->get<bool>()) return std::nullopt;
  const Json& entry = own != all->end() && own->is_object() ? *own : *all;
  const auto number = [&](const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_number_integer() ? found->get<int>() : 0;
  };
  const auto mode_name = entry.find("mode");
  const auto mode =
      quant_mode_of(mode_name != entry.end() && mode_name->is_string() ? mode_name->get<std::string>() : "affine");
  if (!mode) return std::nullopt;
  // What an entry leaves out is the mode's default, as loaders take it.
  const auto or_default = [](int given, int otherwise) { return given != 0 ? given : otherwise; };
  return QuantFormat{*mode, or_default(number("bits"), row_of(*mode).default_bits),
                     or_default(number("group_size"), row_of(*mode).default_group_size)};
}

std::string describe(const std::optional<QuantFormat>& format) {
  if (!format) return "not quantized";
  return fmt::format("{} bits, group size {}, {}", format->bits, format->group_size, row_of(format->mode).name);
}

void compare_quantization(const Plan& plan, const Json& config, Differences& differences) {
  if (plan.packed_undeclared) return;
  for (const auto& job : plan.jobs) {
    if (!job.quantize || job.outputs.empty()) continue;
    auto module = plan.outputs[job.outputs[0]].name;
    if (module.ends_with(".weight")) module.resize(module.size() - std::string_view(".weight").size());
    const auto said = format_in(config, module);
    if (said != job.quantize)
      differences.add(fmt::format("{}: {} is {} by quantization, in the weights it is {}", config_name, module,
                                  describe(said), describe(job.quantize)));
  }
}

void compare_config(const Plan& plan, const fs::path& folder, Differences& differences) {
  const auto read = read_json(folder / config_name);
  if (!read) return differences.add(read.error().value);
  const Json config(*read);
  if (!config.is_object()) return differences.add(fmt::format("{} is no object", config_name));
  compare_members(config, Json(plan.config), config_name, differences);
  if (config.contains("quantization") &&
      config.value("quantization_config", config["quantization"]) != config["quantization"])
    differences.add(fmt::format("{}: quantization and quantization_config differ", config_name));
  compare_quantization(plan, config, differences);
}

}  // namespace

Status check_written(const Plan& plan, const fs::path& folder) {
  Differences differences;
  compare_shards(plan, folder, differences);
  compare_index(plan, folder, differences);
  compare_config(plan, folder, differences);
  if (differences.count() == 0) return {};
  return fail(ErrorTag::incomplete, "what was written is what was planned",
              fmt::format("{}: {} {}", folder.string(), differences.count(),
                          differences.count() == 1 ? "difference" : "differences"),
              "run again; if it happens again, please report it with this list", differences.lines());
}

}  // namespace pippin

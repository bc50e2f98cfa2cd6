#include "package/model_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "package/front_matter.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

std::string grouped(uint64_t number) {
  auto digits = std::to_string(number);
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > 0; place -= 3)
    digits.insert(static_cast<size_t>(place), 1, ',');
  return digits;
}

std::string plural(size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

std::string size_text(uint64_t bytes) {
  constexpr double mebibyte = 1 << 20;
  return fmt::format("{} bytes ({:.1f} MiB)", grouped(bytes), static_cast<double>(bytes) / mebibyte);
}

std::string format_text(const Json& format) {
  const auto number = [&](const char* key) {
    return format.contains(key) && format[key].is_number_integer() ? format[key].dump() : "?";
  };
  const auto mode = format.find("mode");
  return fmt::format("{} bits, group size {}, {}", number("bits"), number("group_size"),
                     mode != format.end() && mode->is_string() ? mode->get<std::string>() : "affine");
}

const Json* quantization_of(const Json& config) {
  const auto found = config.is_object() ? config.find("quantization") : config.end();
  return found != config.end() && found->is_object() ? &*found : nullptr;
}

FrontMatter front_matter(const Plan& plan, std::string_view source_readme, const CardOptions& options,
                         std::vector<std::string>& warnings) {
  auto front = FrontMatter::of_readme(source_readme);
  if (!front && FrontMatter::is_begun_by(source_readme))
    warnings.emplace_back("the front matter of the source's README.md cannot be read; the output has a new one");
  if (!front) front.emplace();
  front->set("library_name", "mlx");
  if (!options.source_repo.empty()) front->set("base_model", options.source_repo);
  front->add_to_list("tags", "mlx");
  if (plan.target == "mlx-lm") {
    front->set("pipeline_tag", "text-generation");
  } else if (!front->has("pipeline_tag")) {
    front->set("pipeline_tag", "image-text-to-text");
  }
  return std::move(*front);
}

std::string origin_text(const Plan& plan, const CardOptions& options) {
  const auto source = options.source_repo.empty()
                          ? fmt::format("a local `{}` checkpoint", plan.model_type)
                          : fmt::format("[`{0}`](https://huggingface.co/{0})", options.source_repo);
  return fmt::format("This is {}, converted to the MLX format for {} by pippin {}.\n", source, plan.target,
                     PIPPIN_VERSION);
}

std::string command_text(const std::vector<std::string>& command) {
  if (command.empty()) return {};
  const auto line = shell_line(command);
  std::string fence = "```";
  while (line.find(fence) != std::string::npos) fence += '`';
  return fmt::format("\n{}bash\n{}\n{}\n", fence, line, fence);
}

std::string dtypes_text(const Plan& plan) {
  std::map<DType, size_t> counts;
  for (const auto& tensor : plan.outputs) ++counts[tensor.dtype];
  std::string text;
  for (const auto& [dtype, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name_of(dtype));
  return text.empty() ? "none" : text;
}

std::string figures_text(const Plan& plan) {
  std::string text = "\n| | |\n| --- | --- |\n";
  const auto row = [&](std::string_view name, std::string_view value) {
    text += fmt::format("| {} | {} |\n", name, value);
  };
  row("Quantization", quantization_text(plan.config));
  if (plan.total_parameters > 0)
    row("Bits per weight",
        fmt::format("{:.3f}", static_cast<double>(plan.output_bytes) * 8 / static_cast<double>(plan.total_parameters)));
  if (quantization_of(plan.config))
    row("Rounding", plan.rounding == Rounding::metal ? "as MLX on Metal" : "as MLX on the CPU");
  row("Tensors", fmt::format("{} in {}", grouped(plan.outputs.size()), plural(plan.shards.size(), "file")));
  row("Data types", dtypes_text(plan));
  row("Parameters", grouped(plan.total_parameters));
  row("Size", size_text(plan.output_bytes));
  return text;
}

std::string usage_text(const Plan& plan, const CardOptions& options) {
  const auto model = shell_line({options.title});
  if (plan.target == "mlx-lm")
    return fmt::format("\n## Use\n\n```bash\npip install mlx-lm\nmlx_lm.generate --model {} --prompt \"Hello\"\n```\n",
                       model);
  return fmt::format(
      "\n## Use\n\n```bash\npip install mlx-vlm\npython -m mlx_vlm.generate --model {} --max-tokens 100 "
      "--prompt \"Describe this image.\" --image image.jpg\n```\n",
      model);
}

std::string licence_text(const FrontMatter& front, const SideFiles& side_files) {
  std::string text = "\n## Licence\n\nThe source's licence applies";
  if (const auto licence = front.scalar("license"); licence && !licence->empty())
    text += fmt::format(": `{}`", *licence);
  text += ".";
  for (const auto& file : side_files.files) {
    auto lower = file.string();
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(tolower(c)); });
    if (lower.starts_with("licen") || lower.starts_with("notice") || lower.find("policy") != std::string::npos)
      text += fmt::format(" See [{0}](<{0}>).", file.string());
  }
  return text + "\n";
}

}  // namespace

ModelCard model_card(const Plan& plan, const SideFiles& side_files, std::string_view source_readme,
                     const CardOptions& options) {
  ModelCard card;
  const auto front = front_matter(plan, source_readme, options, card.warnings);
  card.text = front.text() + fmt::format("\n# {}\n\n", options.title) + origin_text(plan, options) +
              command_text(options.command) + figures_text(plan) + usage_text(plan, options) +
              licence_text(front, side_files);
  return card;
}

std::string repo_of_cache_path(const std::filesystem::path& folder) {
  constexpr std::string_view prefix = "models--";
  for (const auto& part : folder) {
    auto name = part.string();
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    name.erase(0, prefix.size());
    if (const auto separator = name.find("--"); separator != std::string::npos) name.replace(separator, 2, 1, '/');
    return name;
  }
  return {};
}

std::string shell_line(const std::vector<std::string>& arguments) {
  constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/=:,+@%";
  std::string line;
  for (const auto& argument : arguments) {
    if (!line.empty()) line += ' ';
    if (!argument.empty() && argument.find_first_not_of(safe) == std::string::npos) {
      line += argument;
      continue;
    }
    line += '\'';
    for (const char c : argument) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::string quantization_text(const Json& config) {
  const auto* quantization = quantization_of(config);
  if (!quantization) return "none";
  const bool has_default = quantization->contains("bits");
  const auto usual = format_text(*quantization);
  std::map<std::string, size_t> others;
  size_t kept = 0;
  for (const auto& entry : *quantization) {
    if (entry.is_boolean() && !entry.get<bool>()) ++kept;
    if (entry.is_object() && (!has_default || format_text(entry) != usual)) ++others[format_text(entry)];
  }
  std::string text = has_default ? usual : "";
  for (const auto& [format, count] : others)
    text += fmt::format("{}{} with {}", text.empty() ? "" : "; ", plural(count, "module"), format);
  if (kept > 0) text += fmt::format("{}{} not quantized", text.empty() ? "" : "; ", plural(kept, "module"));
  return text.empty() ? "none" : text;
}

}  // namespace pippin

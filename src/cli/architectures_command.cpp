#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/json_output.h"
#include "pippin/architectures.h"

namespace pippin::cli {
namespace {

struct Arguments {
  std::string show;
  std::vector<std::string> arch;
  bool markdown = false;
  CLI::App* show_command = nullptr;
};

nlohmann::ordered_json to_json(const ArchitectureInfo& info) {
  return {{"name", info.name},
          {"target", info.target},
          {"model_types", info.model_types},
          {"title", info.title},
          {"notes", info.notes},
          {"sources", info.sources},
          {"quantization", info.quantization},
          {"refuse", info.refuse},
          {"architectures", info.architectures},
          {"runs", info.runs}};
}

// One line a model; what is particular to it below.
void print_list(const std::vector<ArchitectureInfo>& list) {
  for (const auto& info : list) {
    fmt::print("{:<8} {:<36} {}\n", info.target, fmt::format("{}", fmt::join(info.model_types, ", ")), info.title);
    const auto line = [](const char* label, const std::string& text) {
      if (!text.empty()) fmt::print("           {}: {}\n", label, text);
    };
    line("refused", info.refuse);
    line("runs", info.runs ? "yes" : "");
    line("source layouts", fmt::format("{}", fmt::join(info.sources, ", ")));
    line("quantization", fmt::format("{}", fmt::join(info.quantization, "; ")));
    line("note", info.notes);
  }
  const auto running = std::count_if(list.begin(), list.end(), [](const auto& info) { return info.runs; });
  fmt::print("{} architectures, {} of which run too; `pippin architectures show NAME` prints one\n", list.size(),
             running);
}

std::string cell(std::string text) {
  for (size_t at = text.find_first_of("|*"); at != std::string::npos; at = text.find_first_of("|*", at + 2)) {
    text.insert(at, "\\");
  }
  return text;
}

void print_markdown(const std::vector<ArchitectureInfo>& list) {
  fmt::print(
      "| target | model_type | model | runs | source layouts | quantization | notes |\n| --- | --- | --- | --- | --- | "
      "--- | --- |\n");
  for (const auto& info : list) {
    fmt::print("| {} | {} | {} | {} | {} | {} | {} |\n", info.target, fmt::join(info.model_types, ", "), info.title,
               info.runs ? "yes" : "", fmt::join(info.sources, ", "),
               cell(fmt::format("{}", fmt::join(info.quantization, "; "))),
               info.refuse.empty() ? info.notes : "refused: " + info.refuse);
  }
}

Result<int> run_architectures(const Arguments& a, const Common& common) {
  const std::vector<std::filesystem::path> arch(a.arch.begin(), a.arch.end());
  if (a.show_command->parsed()) {
    PIPPIN_TRY(const std::string document, architecture_document(a.show, arch));
    fmt::print("{}\n", document);
    return 0;
  }
  PIPPIN_TRY(const auto list, architectures(arch));
  if (common.json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const auto& info : list) json.push_back(to_json(info));
    fmt::print("{}\n", json_text(json));
  } else if (a.markdown) {
    print_markdown(list);
  } else {
    print_list(list);
  }
  return 0;
}

}  // namespace

Run add_architectures(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("architectures", "List the models that can be converted");
  auto arguments = std::make_shared<Arguments>();
  arguments->show_command = command.add_subcommand("show", "Print one spec with all that it extends");
  arguments->show_command->add_option("name", arguments->show, "Spec name: llama, mlx_vlm/gemma3")->required();
  command.add_option("--arch", arguments->arch, "More specs: a file or a folder")->allow_extra_args(false);
  command.add_flag("--markdown", arguments->markdown, "Print a table for documentation");
  add_common_flags(command, common);
  return [arguments, common] { return run_architectures(*arguments, *common); };
}

}  // namespace pippin::cli

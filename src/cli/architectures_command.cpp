#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
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
  return {{"name", info.name},    {"target", info.target}, {"model_types", info.model_types},
          {"title", info.title},  {"notes", info.notes},   {"sources", info.sources},
          {"refuse", info.refuse}};
}

void print_list(const std::vector<ArchitectureInfo>& list) {
  for (const auto& info : list) {
    std::string notes = info.notes;
    if (!info.refuse.empty()) notes = "refused: " + info.refuse;
    fmt::print("{:<8} {:<28} {:<40} {}\n", info.target, info.model_types.front(), info.title, notes);
  }
  fmt::print("{} architectures\n", list.size());
}

void print_markdown(const std::vector<ArchitectureInfo>& list) {
  fmt::print("| target | model_type | model | source layouts | notes |\n| --- | --- | --- | --- | --- |\n");
  for (const auto& info : list) {
    fmt::print("| {} | {} | {} | {} | {} |\n", info.target, fmt::join(info.model_types, ", "), info.title,
               fmt::join(info.sources, ", "), info.refuse.empty() ? info.notes : "refused: " + info.refuse);
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
    fmt::print("{}\n", json.dump(2));
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

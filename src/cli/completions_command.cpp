#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/commands.h"

namespace pippin::cli {
namespace {

// All long and short flags of a subcommand, and its own subcommands.
std::vector<std::string> words_of(const CLI::App& command) {
  std::vector<std::string> words;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) words.push_back("--" + name);
    for (const auto& name : option->get_snames()) words.push_back("-" + name);
  }
  for (const auto* inner : command.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(inner->get_name());
  return words;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  std::vector<const CLI::App*> result;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) result.push_back(command);
  return result;
}

void print_bash(const CLI::App& app) {
  fmt::print(
      "_pippin() {{\n  local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" words=\"\"\n  case \"${{COMP_WORDS[1]}}\" in\n");
  std::vector<std::string> names;
  for (const auto* command : commands_of(app)) {
    names.push_back(command->get_name());
    fmt::print("    {}) words=\"{}\" ;;\n", command->get_name(), fmt::join(words_of(*command), " "));
  }
  fmt::print("  esac\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"{} --help --version\"; fi\n", fmt::join(names, " "));
  fmt::print(
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n  [ -n \"$COMPREPLY\" ] || COMPREPLY=($(compgen -f -- "
      "\"$cur\"))\n}}\n");
  fmt::print("complete -o filenames -F _pippin pippin\n");
}

void print_zsh(const CLI::App& app) {
  fmt::print("#compdef pippin\n_pippin() {{\n  if (( CURRENT == 2 )); then\n    compadd --");
  for (const auto* command : commands_of(app)) fmt::print(" {}", command->get_name());
  fmt::print(" --help --version\n    return\n  fi\n  case \"$words[2]\" in\n");
  for (const auto* command : commands_of(app)) {
    fmt::print("    {}) compadd -- {} ;;\n", command->get_name(), fmt::join(words_of(*command), " "));
  }
  fmt::print("  esac\n  _files\n}}\ncompdef _pippin pippin\n");
}

void print_fish(const CLI::App& app) {
  for (const auto* command : commands_of(app)) {
    fmt::print("complete -c pippin -n __fish_use_subcommand -a {} -d '{}'\n", command->get_name(),
               command->get_description());
    for (const auto* option : command->get_options()) {
      for (const auto& name : option->get_lnames()) {
        fmt::print("complete -c pippin -n '__fish_seen_subcommand_from {}' -l {}\n", command->get_name(), name);
      }
    }
  }
}

}  // namespace

Run add_completions(CLI::App& app, const std::shared_ptr<Common>& /*common*/) {
  CLI::App& command = *app.add_subcommand("completions", "Print completions for a shell");
  auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return [shell, &app]() -> Result<int> {
    if (*shell == "bash")
      print_bash(app);
    else if (*shell == "zsh")
      print_zsh(app);
    else
      print_fish(app);
    return 0;
  };
}

}  // namespace pippin::cli

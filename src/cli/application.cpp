#include "cli/application.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_status.h"
#include "cli/json_output.h"
#include "cli/terminal.h"

namespace pippin::cli {
namespace {

std::string footer() {
  std::string text = "Exit status: 0 done";
  for (const auto& row : exit_rows()) text += fmt::format("\n  {:3}  {}", row.status, row.meaning);
  text +=
      "\n\nConverting is `mlx_lm.convert` or `mlx_vlm.convert` with the same flags: pippin convert --hf-path MODEL -q";
  return text;
}

void print_error(const Error& error, const Common& common) {
  if (common.json) {
    const nlohmann::ordered_json json = {{"error",
                                          {{"tag", name_of(error.tag)},
                                           {"rule", error.rule},
                                           {"value", error.value},
                                           {"way_out", error.way_out},
                                           {"details", error.details}}}};
    fmt::print("{}\n", json_text(json));
    return;
  }
  fmt::print(stderr, "{} {}\n", red("error:", Stream::error), error.message());
}

}  // namespace

CLI::Option* add_progress_option(CLI::App& command, std::string& progress) {
  return command.add_option("--progress", progress, "auto, line, json or none")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "line", "json", "none"}));
}

void add_common_flags(CLI::App& command, const std::shared_ptr<Common>& common) {
  command.add_flag("--json", common->json, "Print the result as JSON");
  command.add_flag("--quiet", common->quiet, "Print nothing but errors");
}

void sort_arch(const std::vector<std::string>& given, std::vector<std::filesystem::path>& files, std::string& name) {
  std::error_code code;
  for (const auto& one : given) {
    if (std::filesystem::exists(one, code))
      files.emplace_back(one);
    else
      name = one;
  }
}

int run(int argc, char** argv, const RuntimeRuns& runs) {
  CLI::App app{"Converts model checkpoints to Apple MLX, exactly, fast and in bounded memory.", "pippin"};
  app.set_version_flag("--version", std::string("pippin ") + PIPPIN_VERSION);
  app.require_subcommand(1);
  app.footer(footer());
  app.get_formatter()->column_width(34);
  auto common = std::make_shared<Common>();
  common->command_line.assign(argv, argv + argc);

  std::vector<std::pair<std::string, Run>> commands;
  for (const auto& add :
       {add_convert, add_architectures, add_download, add_upload, add_whoami, add_cache, add_completions}) {
    Run command = add(app, common);
    commands.emplace_back(app.get_subcommands({}).back()->get_name(), std::move(command));
  }
  for (const auto& add : {add_verify, add_generate, add_chat, add_cache_prompt}) {
    Run command = add(app, common, runs);
    commands.emplace_back(app.get_subcommands({}).back()->get_name(), std::move(command));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status_of(ErrorTag::usage);
  }
  for (const auto& [name, command] : commands) {
    if (!app.got_subcommand(name)) continue;
    const auto result = command();
    if (result) return *result;
    print_error(result.error(), *common);
    return exit_status_of(result.error().tag);
  }
  return exit_status_of(ErrorTag::usage);
}

}  // namespace pippin::cli

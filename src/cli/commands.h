// The subcommands: each adds itself to the application and gives what runs it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "pippin/error.h"

namespace pippin::cli {

// Options that every subcommand has.
struct Common {
  bool json = false;
  bool quiet = false;
  std::vector<std::string> command_line;  // the arguments, with the program first
};

// Runs after parsing; gives the exit status, or an error that the application prints.
using Run = std::function<Result<int>()>;

Run add_convert(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_architectures(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_download(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_upload(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_whoami(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_cache(CLI::App& app, const std::shared_ptr<Common>& common);
Run add_completions(CLI::App& app, const std::shared_ptr<Common>& common);

// Adds --json and --quiet.
void add_common_flags(CLI::App& command, const std::shared_ptr<Common>& common);

// Adds --progress auto|line|json|none.
CLI::Option* add_progress_option(CLI::App& command, std::string& progress);

// --arch takes files and folders of specs, or the name of one: what exists on the disk goes to `files`, the last other
// value to `name`.
void sort_arch(const std::vector<std::string>& given, std::vector<std::filesystem::path>& files, std::string& name);

}  // namespace pippin::cli

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "cli/runtime_runs.h"

namespace pippin::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> runtime_commands{"generate", "chat", "cache-prompt", "verify"};

fs::path own_path() {
  std::error_code error;
#ifdef __APPLE__
  std::array<char, 4096> buffer{};
  uint32_t size = buffer.size();
  if (_NSGetExecutablePath(buffer.data(), &size) != 0) return {};
  return fs::canonical(buffer.data(), error);
#else
  return fs::read_symlink("/proc/self/exe", error);
#endif
}

// Beside the program as the build leaves it, or where `make install` puts it.
fs::path runtime_program() {
  const fs::path folder = own_path().parent_path();
  std::error_code error;
  for (const fs::path& path : {folder / "pippin-runtime", folder / ".." / "libexec" / "pippin" / "pippin-runtime"}) {
    if (fs::exists(path, error)) return path;
  }
  return {};
}

}  // namespace

void hand_over(int argc, char** argv) {
  if (argc < 2) return;
  if (std::find(runtime_commands.begin(), runtime_commands.end(), argv[1]) == runtime_commands.end()) return;
  const auto needs_none = [](const char* word) {
    const std::string_view flag(word);
    return flag == "--help" || flag == "-h" || flag == "--no-behaviour";
  };
  if (std::any_of(argv + 2, argv + argc, needs_none)) return;
  const fs::path program = runtime_program();
  if (!program.empty()) execv(program.c_str(), argv);
}

Error no_runtime(const std::string& command) {
  return {ErrorTag::unsupported,
          "pippin " + command + " has the program pippin-runtime beside it",
          "it is not there",
          "build pippin with PIPPIN_RUNTIME=ON, or install it as a whole",
          {}};
}

}  // namespace pippin::cli

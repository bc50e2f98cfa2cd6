// Converts conformance cases and compares every tensor and config.json with what the reference wrote.
//
//   conformance [--arch FOLDER] [--verbose] CASE.json...
//   conformance --write-source CASE.json FOLDER       only writes the case's source checkpoint
//
// A case's source is made from the ghost formula; its runs are converted with the CPU backend's rounding, since that is
// where they were recorded. Exit status 1 where any run differs.
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "conformance/case_runner.h"
#include "ghost/ghost.h"

int main(int argc, char** argv) {
  pippin::CaseOptions options;
  std::vector<std::filesystem::path> cases;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--arch" && i + 1 < argc)
      options.arch = argv[++i];
    else if (argument == "--verbose")
      options.verbose = true;
    else
      cases.emplace_back(argument);
  }
  if (cases.size() == 3 && cases[0] == "--write-source") {
    pippin::write_ghost(pippin::read_case(cases[1]), cases[2]);
    return 0;
  }
  size_t failed = 0;
  size_t runs = 0;
  for (const auto& path : cases) {
    for (const auto& outcome : pippin::run_case(path, options)) {
      ++runs;
      failed += outcome.differences.empty() ? 0 : 1;
      fmt::print("{} {} {}{}\n", outcome.differences.empty() ? "ok  " : "FAIL", path.stem().string(), outcome.run,
                 outcome.remark.empty() ? "" : " (" + outcome.remark + ")");
      for (const auto& difference : outcome.differences) fmt::print("       {}\n", difference);
    }
  }
  fmt::print("{} passed, {} failed\n", runs - failed, failed);
  return failed == 0 && runs > 0 ? 0 : 1;
}

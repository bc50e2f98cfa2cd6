// Runs the conversions of a conformance case and tells where they differ from the recorded ones.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pippin {

struct CaseOptions {
  std::filesystem::path arch;  // more specs, before the built-in ones
  bool verbose = false;        // list all differences, not the first ten
};

struct CaseOutcome {
  std::string run;
  std::vector<std::string> differences;  // empty: as recorded
  std::string remark;                    // for a refusal, or where pippin does better than the reference
};

std::vector<CaseOutcome> run_case(const std::filesystem::path& path, const CaseOptions& options);

}  // namespace pippin

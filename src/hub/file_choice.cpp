#include "hub/file_choice.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr size_t longest_list = 20;

bool any_matches(const std::vector<std::string>& patterns, const std::string& name) {
  return std::ranges::any_of(patterns, [&](const auto& pattern) { return matches(pattern, name); });
}

std::vector<std::string> names_of(const std::vector<RepoFile>& files) {
  std::vector<std::string> names;
  names.reserve(files.size());
  for (const auto& file : files) names.push_back(printable(file.name));
  if (names.size() > longest_list) {
    const size_t more = names.size() - longest_list;
    names.resize(longest_list);
    names.push_back(fmt::format("and {} more", more));
  }
  return names;
}

}  // namespace

bool matches(const std::string& pattern, const std::string& name) {
  std::string whole = pattern.ends_with('/') ? pattern + "*" : pattern;
  std::ranges::replace(whole, '\\', '/');
  return ::fnmatch(whole.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

Result<std::vector<RepoFile>> choose_files(const std::vector<RepoFile>& files, const FileChoice& choice,
                                           const std::string& repo) {
  std::vector<std::string> missing;
  for (const auto& name : choice.files) {
    if (std::ranges::find(files, name, &RepoFile::name) == files.end()) missing.push_back(in_quotes(name));
  }
  if (!missing.empty()) {
    std::vector<std::string> details;
    details.reserve(missing.size());
    for (const auto& name : missing) details.push_back("missing " + name);
    for (const auto& name : names_of(files)) details.push_back("there: " + name);
    return fail(ErrorTag::not_found, "the files are in the repository",
                fmt::format("{} has no {}{}", repo, missing.front(),
                            missing.size() > 1 ? fmt::format(" and {} others", missing.size() - 1) : ""),
                "give names as they stand in the list", details);
  }
  std::vector<RepoFile> chosen;
  for (const auto& file : files) {
    const bool named = choice.files.empty() || std::ranges::find(choice.files, file.name) != choice.files.end();
    const bool included = choice.include.empty() || any_matches(choice.include, file.name);
    if (named && included && !any_matches(choice.exclude, file.name)) chosen.push_back(file);
  }
  if (chosen.empty()) {
    return fail(ErrorTag::not_found, "the choice of files leaves at least one",
                files.empty() ? repo + " has no files" : fmt::format("none of the {} files of {}", files.size(), repo),
                "change --include and --exclude", names_of(files));
  }
  return chosen;
}

}  // namespace pippin

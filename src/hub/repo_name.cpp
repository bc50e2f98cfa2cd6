#include "hub/repo_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr std::string_view folder_prefix = "models--";

bool is_word(char c) {
  return c == '_' || (static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c)) != 0);
}

bool is_name(std::string_view part) {
  return !part.empty() && part.size() <= 96 &&
         std::ranges::all_of(part, [](char c) { return is_word(c) || c == '-' || c == '.'; }) &&
         is_word(part.front()) && is_word(part.back());
}

bool is_repo(std::string_view repo) {
  const size_t slash = repo.find('/');
  const bool names = slash == std::string_view::npos
                         ? is_name(repo)
                         : is_name(repo.substr(0, slash)) && is_name(repo.substr(slash + 1));
  return names && repo.size() <= 96 * 2 + 1 && repo.find("--") == std::string_view::npos &&
         repo.find("..") == std::string_view::npos && !repo.ends_with(".git");
}

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// What is wrong with a relative path that must stay inside its folder; empty where nothing is.
std::string_view fault_of_path(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > 4096) return "is too long";
  if (path.find('\\') != std::string_view::npos) return "holds a backslash";
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return "holds a control character";
  if (path.size() > 1 && path[1] == ':') return "begins with a drive";
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const auto part = path.substr(begin, end - begin);
    if (part.empty()) return "has an empty part";
    if (part == "." || part == "..") return "leaves its folder";
    if (part == ".git") return "is inside .git";
    if (part.size() > 255) return "has a part that is too long";
    begin = end + 1;
  }
  return {};
}

}  // namespace

Status check_repo_name(const std::string& repo) {
  if (is_repo(repo)) return {};
  return fail(ErrorTag::usage, "a repository is named org/name, of letters, digits, '-', '_' and '.'", in_quotes(repo),
              "copy the name from the model's page");
}

bool looks_like_repo(const std::string& text) {
  return is_repo(text) && text.find('/') != std::string::npos;
}

Status check_revision(const std::string& revision) {
  const auto fault = fault_of_path(revision);
  if (fault.empty() && revision.size() <= 255) return {};
  return fail(ErrorTag::usage, "a revision is a branch, a tag or a commit",
              fmt::format("{} {}", in_quotes(revision), fault.empty() ? "is too long" : fault));
}

Status check_file_name(const std::string& name) {
  const auto fault = fault_of_path(name);
  if (fault.empty()) return {};
  return fail(ErrorTag::network, "a file of a repository stays inside the folder it is downloaded to",
              fmt::format("{} {}", in_quotes(name), fault), "do not trust this repository");
}

bool is_commit_id(std::string_view text) {
  return text.size() == 40 && is_hex(text);
}

bool is_content_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && is_hex(text);
}

std::string cache_folder_name(const std::string& repo) {
  std::string name(folder_prefix);
  for (const char c : repo) name += c == '/' ? std::string("--") : std::string(1, c);
  return name;
}

std::string repo_of_cache_folder(const std::string& folder) {
  if (!folder.starts_with(folder_prefix)) return {};
  std::string name = folder.substr(folder_prefix.size());
  if (const size_t at = name.find("--"); at != std::string::npos) name.replace(at, 2, "/");
  return is_repo(name) ? name : std::string();
}

}  // namespace pippin

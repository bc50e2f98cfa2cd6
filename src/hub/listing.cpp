#include "hub/listing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hub/answer_json.h"
#include "hub/repo_name.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t largest_file = uint64_t{1} << 50;

Result<RepoFile> checked(RepoFile file, const Json& size) {
  PIPPIN_CHECK(check_file_name(file.name));
  const bool has_size = size.is_number_unsigned() && size.get<uint64_t>() <= largest_file;
  if (!has_size || !is_commit_id(file.blob_id))
    return unusable_answer(fmt::format("{}: no size or no id", in_quotes(file.name)));
  if (!file.sha256.empty() && (!is_content_id(file.sha256) || file.sha256.size() != 64)) {
    return unusable_answer(fmt::format("{}: no sha256", in_quotes(file.name)));
  }
  file.size = size.get<uint64_t>();
  return file;
}

}  // namespace

Result<std::string> parse_commit(std::string_view text) {
  PIPPIN_TRY(const Json json, parsed_answer(text, "the repository's description"));
  std::string commit = text_of(member(json, "sha"));
  if (!is_commit_id(commit)) return unusable_answer("the repository's description: no commit");
  return commit;
}

Result<std::vector<RepoFile>> parse_tree_page(std::string_view text) {
  PIPPIN_TRY(const Json json, parsed_answer(text, "the list of files"));
  if (!json.is_array()) return unusable_answer("the list of files: no list");
  std::vector<RepoFile> files;
  for (const auto& item : json) {
    const std::string type = text_of(member(item, "type"));
    if (type == "directory") continue;
    if (type != "file") return unusable_answer("the list of files: neither file nor folder");
    const Json& lfs = member(item, "lfs");
    RepoFile file{text_of(member(item, "path")), 0, text_of(member(item, "oid")), text_of(member(lfs, "oid"))};
    if (lfs.is_object() && file.sha256.empty())
      return unusable_answer(fmt::format("{}: no sha256", in_quotes(file.name)));
    PIPPIN_TRY(file, checked(std::move(file), member(lfs.is_object() ? lfs : item, "size")));
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::vector<RepoFile>> parse_tree_file(std::string_view text) {
  PIPPIN_TRY(const Json json, parsed_answer(text, "the cached list of files"));
  const Json& rows = member(json, "files");
  if (member(json, "format_version") != 1 || !rows.is_object())
    return unusable_answer("the cached list of files: unknown form");
  std::vector<RepoFile> files;
  for (const auto& [name, row] : rows.items()) {
    RepoFile file{name, 0, text_of(member(row, "blob_id")), text_of(member(row, "lfs_sha256"))};
    PIPPIN_TRY(file,
               checked(std::move(file), member(row, member(row, "lfs_sha256").is_string() ? "lfs_size" : "size")));
    files.push_back(std::move(file));
  }
  return files;
}

std::string tree_file_text(const std::vector<RepoFile>& files) {
  Json rows = Json::object();
  for (const auto& file : files) {
    Json row = {{"size", file.size}, {"blob_id", file.blob_id}};
    if (!file.sha256.empty()) {
      row["lfs_sha256"] = file.sha256;
      row["lfs_size"] = file.size;
    }
    rows.emplace(file.name, std::move(row));
  }
  const Json json = {{"format_version", 1}, {"files", std::move(rows)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::string identity_of(const RepoFile& file) {
  return fmt::format("{} {} {}", file.name, file.size, file.content_id());
}

Result<HubUser> parse_user(std::string_view text) {
  PIPPIN_TRY(const Json json, parsed_answer(text, "the user's description"));
  HubUser user;
  user.name = printable(text_of(member(json, "name")));
  if (user.name.empty()) return unusable_answer("the user's description: no name");
  const Json& organisations = member(json, "orgs");
  if (organisations.is_array()) {
    for (const auto& one : organisations) user.organisations.push_back(printable(text_of(member(one, "name"))));
  }
  user.role = printable(text_of(member(member(member(json, "auth"), "accessToken"), "role")));
  return user;
}

}  // namespace pippin

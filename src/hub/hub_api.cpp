#include "hub/hub_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "hub/hub_error.h"
#include "hub/repo_name.h"
#include "hub/url.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr int most_pages = 10000;

std::string api_url(const HubSession& session, const std::string& repo, const std::string& rest) {
  return fmt::format("{}/api/models/{}{}", session.settings().endpoint, encoded_path(repo), rest);
}

Result<HttpAnswer> get(HubSession& session, const std::string& url, const Question& question) {
  HttpRequest request;
  request.url = url;
  PIPPIN_TRY(HttpAnswer answer, session.ask(request));
  if (answer.status != 200) return tl::unexpected<Error>(error_of_answer(answer, question, session.settings()));
  return answer;
}

}  // namespace

std::string at_endpoint(std::string url, const std::string& endpoint) {
  constexpr std::string_view hub = "https://huggingface.co/";
  if (url.starts_with(hub)) url.replace(0, hub.size() - 1, endpoint);
  return url;
}

Result<std::string> commit_of(HubSession& session, const std::string& repo, const std::string& revision) {
  PIPPIN_CHECK(check_repo_name(repo));
  PIPPIN_CHECK(check_revision(revision));
  const std::string url = api_url(session, repo, "/revision/" + encoded_segment(revision));
  PIPPIN_TRY(const HttpAnswer answer, get(session, url, {repo, revision, {}}));
  return parse_commit(answer.body);
}

Result<std::vector<RepoFile>> files_of(HubSession& session, const std::string& repo, const std::string& commit) {
  std::vector<RepoFile> files;
  std::string url = api_url(session, repo, fmt::format("/tree/{}?recursive=true&expand=false", commit));
  for (int page = 0; !url.empty(); ++page) {
    if (page >= most_pages) {
      return fail(ErrorTag::network, "a list of files comes to an end", fmt::format("{}: {} pages", repo, page));
    }
    PIPPIN_TRY(const HttpAnswer answer, get(session, url, {repo, commit, {}}));
    PIPPIN_TRY(const auto more, parse_tree_page(answer.body));
    files.insert(files.end(), more.begin(), more.end());
    const auto next = next_link(answer.headers.get("link"));
    if (!next) break;
    PIPPIN_TRY(url, redirect_target(url, at_endpoint(*next, session.settings().endpoint)));
  }
  std::ranges::sort(files, {}, &RepoFile::name);
  const auto twice = std::ranges::adjacent_find(files, {}, &RepoFile::name);
  if (twice != files.end()) {
    return fail(ErrorTag::network, "a repository has a file once",
                fmt::format("{}: {} twice", repo, in_quotes(twice->name)));
  }
  return files;
}

Result<HubUser> user_of_token(HubSession& session) {
  PIPPIN_TRY(const HttpAnswer answer, get(session, session.settings().endpoint + "/api/whoami-v2", {}));
  return parse_user(answer.body);
}

}  // namespace pippin

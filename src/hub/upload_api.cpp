#include "hub/upload_api.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "hub/answer_json.h"
#include "hub/hub_api.h"
#include "hub/hub_error.h"
#include "hub/repo_name.h"
#include "hub/url.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t most_preupload_files = 256;
constexpr uint64_t most_parts = 10000;
constexpr long slow_answer_seconds = 120;  // parts are joined, large commits are made
constexpr const char* json_type = "Content-Type: application/json";
constexpr const char* lfs_type = "Content-Type: application/vnd.git-lfs+json";

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

HttpRequest post_of(std::string url, const char* type, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  // Without the empty Expect, curl waits before it sends a large body.
  request.headers = {type, "Expect:"};
  request.body = std::move(body);
  request.silence_seconds = slow_answer_seconds;
  return request;
}

std::string models_url(const HubSession& session, const std::string& repo, const std::string& rest) {
  return fmt::format("{}/api/models/{}{}", session.settings().endpoint, encoded_path(repo), rest);
}

bool is_good(const HttpAnswer& answer) {
  return answer.status == 200 || answer.status == 201;
}

tl::unexpected<Error> refused(const HubSession& session, const HttpAnswer& answer, const Question& question) {
  return tl::unexpected<Error>(error_of_answer(answer, question, session.settings()));
}

Result<Json> ask_json(HubSession& session, const HttpRequest& request, const Question& question, const char* what) {
  PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
  if (!is_good(answer)) return refused(session, answer, question);
  return parsed_answer(answer.body, what);
}

// A link of the Hub's, fit for use: http or https, and not from https to http.
Result<std::string> checked_link(const std::string& endpoint, const std::string& link) {
  return redirect_target(endpoint, at_endpoint(link, endpoint));
}

std::string revision_url(const HubSession& session, const CommitTarget& target, const char* what) {
  return models_url(
      session, target.repo,
      fmt::format("/{}/{}{}", what, encoded_segment(target.revision), target.as_pull_request ? "?create_pr=1" : ""));
}

Status fill_parts(const std::string& endpoint, const LargeObject& object, const Json& header, UploadPlan& plan) {
  const auto part_size = number_of(text_of(member(header, "chunk_size")));
  if (!part_size || *part_size == 0 || object.size == 0)
    return unusable_answer("the plan of an upload: no size of its parts");
  const uint64_t count = (object.size - 1) / *part_size + 1;
  if (count > most_parts) return unusable_answer("the plan of an upload: too many parts");
  plan.part_size = *part_size;
  plan.complete = std::move(plan.parts.front());
  plan.parts.clear();
  for (uint64_t number = 1; number <= count; ++number) {
    const std::string link = text_of(member(header, fmt::format("{:05}", number).c_str()));
    if (link.empty()) return unusable_answer(fmt::format("the plan of an upload: no link for part {}", number));
    PIPPIN_TRY(std::string checked, checked_link(endpoint, link));
    plan.parts.push_back(std::move(checked));
  }
  return {};
}

Result<UploadPlan> plan_of(const std::string& endpoint, const LargeObject& object, const Json& answer) {
  if (const Json& error = member(answer, "error"); error.is_object()) {
    return fail(ErrorTag::denied, "the Hub takes a file of this kind and size",
                fmt::format("{} bytes: {}", object.size, printable(text_of(member(error, "message")))));
  }
  UploadPlan plan;
  const Json& actions = member(answer, "actions");
  const Json& upload = member(actions, "upload");
  if (!upload.is_object()) {
    plan.is_there = true;
    return plan;
  }
  PIPPIN_TRY(std::string link, checked_link(endpoint, text_of(member(upload, "href"))));
  plan.parts.push_back(std::move(link));
  plan.part_size = object.size;
  const Json& header = member(upload, "header");
  if (!member(header, "chunk_size").is_null()) PIPPIN_CHECK(fill_parts(endpoint, object, header, plan));
  if (const std::string verify = text_of(member(member(actions, "verify"), "href")); !verify.empty()) {
    PIPPIN_TRY(plan.verify, checked_link(endpoint, verify));
  }
  return plan;
}

}  // namespace

Result<UploadPlan> parse_upload_plan(std::string_view json, const LargeObject& object, const std::string& endpoint) {
  PIPPIN_TRY(const Json answer, parsed_answer(json, "the plan of an upload"));
  return plan_of(endpoint, object, answer);
}

Result<std::optional<RepoState>> state_of_repo(HubSession& session, const std::string& repo) {
  HttpRequest request;
  request.url = models_url(session, repo, "");
  const auto json = ask_json(session, request, {repo, {}, {}}, "the repository's description");
  if (!json && json.error().tag == ErrorTag::not_found) return std::optional<RepoState>();
  if (!json) return tl::unexpected<Error>(json.error());
  return std::optional(RepoState{member(*json, "private") == true});
}

Status check_write_access(HubSession& session, const std::string& repo) {
  HttpRequest request;
  request.url = models_url(session, repo, "/auth-check/write");
  PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
  if (answer.status == 401 || answer.status == 403) return refused(session, answer, {repo, {}, {}});
  return {};
}

Status create_repo(HubSession& session, const std::string& repo, bool is_private) {
  const size_t slash = repo.find('/');
  Json body = {{"name", repo.substr(slash + 1)}, {"organization", repo.substr(0, slash)}, {"type", "model"}};
  if (is_private) body["visibility"] = "private";
  const auto request = post_of(session.settings().endpoint + "/api/repos/create", json_type, dumped(body));
  for (int failures = 1;; ++failures) {
    PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
    const bool busy = answer.status == 409 && message_of_answer(answer).find("conflicting") != std::string::npos;
    if (!busy && (is_good(answer) || answer.status == 409)) return {};
    if (!busy) return refused(session, answer, {repo, {}, {}});
    if (auto error = session.wait_after(failures, answer, request.url)) return tl::unexpected<Error>(std::move(*error));
  }
}

Status create_branch(HubSession& session, const std::string& repo, const std::string& branch) {
  const auto request = post_of(models_url(session, repo, "/branch/" + encoded_segment(branch)), json_type, "{}");
  PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
  if (is_good(answer) || answer.status == 409) return {};
  return refused(session, answer, {repo, branch, {}});
}

Status check_card(HubSession& session, const std::string& text) {
  const Json body = {{"content", text}, {"repoType", "model"}};
  PIPPIN_TRY(const HttpAnswer answer,
             session.ask(post_of(session.settings().endpoint + "/api/validate-yaml", json_type, dumped(body))));
  // Mirrors may not know the question; the commit will tell.
  if (answer.status != 400) return {};
  std::vector<std::string> details;
  if (const auto json = parsed_answer(answer.body, "the check of the model card")) {
    for (const auto& error : member(*json, "errors")) details.push_back(printable(text_of(member(error, "message"))));
  }
  return fail(ErrorTag::bad_config, "the front matter of README.md is one that the Hub takes",
              details.empty() ? "README.md" : "README.md: " + details.front(), "change README.md; nothing was sent",
              details.size() > 1 ? details : std::vector<std::string>());
}

Result<std::vector<PreuploadAnswer>> ask_preupload(HubSession& session, const CommitTarget& target,
                                                   const std::vector<PreuploadFile>& files) {
  std::vector<PreuploadAnswer> answers;
  for (size_t begin = 0; begin < files.size(); begin += most_preupload_files) {
    const size_t end = std::min(files.size(), begin + most_preupload_files);
    Json rows = Json::array();
    for (size_t i = begin; i < end; ++i)
      rows.push_back({{"path", files[i].name}, {"size", files[i].size}, {"sample", base64(files[i].sample)}});
    const auto request = post_of(revision_url(session, target, "preupload"), json_type, dumped({{"files", rows}}));
    PIPPIN_TRY(const Json json, ask_json(session, request, {target.repo, target.revision, {}}, "the files' kinds"));
    std::map<std::string, PreuploadAnswer> by_name;
    const Json& told = member(json, "files");
    for (const auto& row : told.is_array() ? told : Json::array()) {
      by_name[text_of(member(row, "path"))] = {text_of(member(row, "uploadMode")) == "lfs",
                                               member(row, "shouldIgnore") == true};
    }
    for (size_t i = begin; i < end; ++i) {
      const auto found = by_name.find(files[i].name);
      if (found == by_name.end()) return unusable_answer("the files' kinds: nothing about " + in_quotes(files[i].name));
      answers.push_back(found->second);
    }
  }
  return answers;
}

Result<std::vector<UploadPlan>> ask_upload_plans(HubSession& session, const CommitTarget& target,
                                                 const std::vector<LargeObject>& objects) {
  Json rows = Json::array();
  for (const auto& object : objects) rows.push_back({{"oid", object.sha256}, {"size", object.size}});
  Json body = {{"operation", "upload"},
               {"transfers", {"basic", "multipart"}},
               {"hash_algo", "sha256"},
               {"objects", std::move(rows)}};
  if (!target.as_pull_request) body["ref"] = {{"name", target.revision}};
  auto request =
      post_of(fmt::format("{}/{}.git/info/lfs/objects/batch", session.settings().endpoint, encoded_path(target.repo)),
              lfs_type, dumped(body));
  request.headers.emplace_back("Accept: application/vnd.git-lfs+json");
  PIPPIN_TRY(const Json json, ask_json(session, request, {target.repo, target.revision, {}}, "the plan of an upload"));
  std::map<std::string, const Json*> by_id;
  const Json& told = member(json, "objects");
  if (!told.is_array()) return unusable_answer("the plan of an upload: no list");
  for (const auto& row : told) by_id[text_of(member(row, "oid"))] = &row;
  std::vector<UploadPlan> plans;
  for (const auto& object : objects) {
    const auto found = by_id.find(object.sha256);
    if (found == by_id.end()) return unusable_answer("the plan of an upload: a file is missing in it");
    PIPPIN_TRY(UploadPlan plan, plan_of(session.settings().endpoint, object, *found->second));
    plans.push_back(std::move(plan));
  }
  return plans;
}

Result<bool> complete_upload(HubSession& session, const UploadPlan& plan, const LargeObject& object,
                             const std::vector<std::string>& etags) {
  Json parts = Json::array();
  for (size_t i = 0; i < etags.size(); ++i) parts.push_back({{"partNumber", i + 1}, {"etag", etags[i]}});
  auto request = post_of(plan.complete, lfs_type, dumped({{"oid", object.sha256}, {"parts", std::move(parts)}}));
  request.headers.emplace_back("Accept: application/vnd.git-lfs+json");
  request.signed_link = true;
  PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
  if (is_good(answer)) return true;
  if (answer.status == 403 || answer.status == 404) return false;
  return fail(ErrorTag::network, "the parts of a file are joined",
              fmt::format("{}: status {} {}", shown_url(plan.complete), answer.status, message_of_answer(answer)),
              "run it again: files that arrived whole are not sent again");
}

Status verify_upload(HubSession& session, const UploadPlan& plan, const LargeObject& object) {
  if (plan.verify.empty()) return {};
  const auto request = post_of(plan.verify, lfs_type, dumped({{"oid", object.sha256}, {"size", object.size}}));
  PIPPIN_TRY(const HttpAnswer answer, session.ask(request));
  if (is_good(answer)) return {};
  return fail(ErrorTag::network, "the Hub has the file that was sent",
              fmt::format("status {} {}", answer.status, message_of_answer(answer)), "run it again");
}

CommitLines::CommitLines(const std::string& message, const std::string& parent) {
  Json header = {{"summary", message}, {"description", ""}};
  if (!parent.empty()) header["parentCommit"] = parent;
  text_ = dumped({{"key", "header"}, {"value", std::move(header)}}) + "\n";
}

void CommitLines::add_small(const std::string& name, const std::string& content) {
  const Json value = {{"content", base64(content)}, {"path", name}, {"encoding", "base64"}};
  text_ += dumped({{"key", "file"}, {"value", value}}) + "\n";
}

void CommitLines::add_large(const std::string& name, const LargeObject& object) {
  const Json value = {{"path", name}, {"algo", "sha256"}, {"oid", object.sha256}, {"size", object.size}};
  text_ += dumped({{"key", "lfsFile"}, {"value", value}}) + "\n";
}

tl::expected<CommitAnswer, CommitFailure> send_commit(HubSession& session, const CommitTarget& target,
                                                      const CommitLines& lines) {
  const auto failed = [](CommitTrouble trouble, Error error) {
    return tl::unexpected<CommitFailure>(CommitFailure{trouble, std::move(error)});
  };
  auto request = post_of(revision_url(session, target, "commit"), "Content-Type: application/x-ndjson", lines.text());
  request.fresh_connection = true;
  const Question question{target.repo, target.revision, {}};
  for (int failures = 1;; ++failures) {
    const auto answer = session.once(request);
    if (!answer) {
      return failed(answer.error().passing ? CommitTrouble::unknown : CommitTrouble::final, answer.error().error);
    }
    if (answer->status == 429) {
      if (auto error = session.wait_after(failures, *answer, request.url))
        return failed(CommitTrouble::final, std::move(*error));
      continue;
    }
    if (is_good(*answer)) {
      const auto json = parsed_answer(answer->body, "the answer to a commit");
      if (!json) return failed(CommitTrouble::unknown, json.error());
      CommitAnswer done{text_of(member(*json, "commitOid")), text_of(member(*json, "pullRequestUrl"))};
      if (!origin_of(done.pull_request)) done.pull_request.clear();
      if (!is_commit_id(done.commit)) return failed(CommitTrouble::unknown, unusable_answer("no commit").value());
      return done;
    }
    const auto trouble = answer->status == 412        ? CommitTrouble::moved
                         : is_passing(answer->status) ? CommitTrouble::unknown
                                                      : CommitTrouble::final;
    return failed(trouble, error_of_answer(*answer, question, session.settings()));
  }
}

}  // namespace pippin

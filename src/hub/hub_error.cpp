#include "hub/hub_error.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "source/json_text.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr size_t longest_message = 300;

std::string token_advice(const HubSettings& settings) {
  if (settings.token.empty()) return "set HF_TOKEN to a token of yours (https://huggingface.co/settings/tokens)";
  return fmt::format("the token comes from {}; another one goes into HF_TOKEN", settings.token_origin);
}

std::string page_of(const Question& question, const HubSettings& settings) {
  return fmt::format("{}/{}", settings.endpoint, question.repo);
}

Error gated(const Question& question, const HubSettings& settings) {
  const bool has_token = !settings.token.empty();
  const std::string page = page_of(question, settings);
  return {ErrorTag::denied,
          "a gated repository gives its files to those who accepted its terms",
          fmt::format("{} is gated, and {}", question.repo,
                      has_token ? "the owner of this token is not on its list" : "no token was sent"),
          has_token ? fmt::format("ask for access at {}, or use the token of somebody who has it ({})", page,
                                  token_advice(settings))
                    : fmt::format("accept the terms at {}, then {}", page, token_advice(settings)),
          {}};
}

Error missing_repo(const Question& question, const HubSettings& settings) {
  if (settings.token.empty()) {
    return {ErrorTag::not_found,
            "the repository exists and anybody may read it",
            fmt::format("{} is missing, private or gated: without a token {} does not say which", question.repo,
                        settings.endpoint),
            fmt::format("check the name; if it is private or gated, {}", token_advice(settings)),
            {}};
  }
  return {ErrorTag::not_found,
          "the repository exists, and the token's owner may read it",
          fmt::format("{} is missing, or private and not yours", question.repo),
          fmt::format("check the name; {}", token_advice(settings)),
          {}};
}

}  // namespace

std::string message_of_answer(const HttpAnswer& answer) {
  std::string text(answer.headers.get("x-error-message"));
  if (text.empty()) {
    if (const auto json = parse_json(answer.body, "answer"); json && json->is_object()) {
      if (const auto error = json->find("error"); error != json->end() && error->is_string())
        text = error->get<std::string>();
    }
  }
  if (text.size() > longest_message) text = text.substr(0, longest_message) + "...";
  return printable(text);
}

Error error_of_answer(const HttpAnswer& answer, const Question& question, const HubSettings& settings) {
  const auto code = answer.headers.get("x-error-code");
  const std::string message = message_of_answer(answer);
  const auto says = [&](std::string_view text) { return message.find(text) != std::string::npos; };

  if (code == "GatedRepo") return gated(question, settings);
  if (code == "RevisionNotFound") {
    return {ErrorTag::not_found,
            "the revision is a branch, a tag or a commit of the repository",
            fmt::format("{} has no revision {}", question.repo, in_quotes(question.revision)),
            fmt::format("look at {}/tree/main for its branches and tags", page_of(question, settings)),
            {}};
  }
  if (code == "EntryNotFound") {
    return {ErrorTag::not_found,
            "the file is in the repository",
            fmt::format("{} at {} has no file {}", question.repo, question.revision, in_quotes(question.file)),
            fmt::format("look at {}/tree/{}", page_of(question, settings), question.revision),
            {}};
  }
  if (says("Access to this resource is disabled")) {
    return {ErrorTag::denied, "the repository is not disabled", question.repo + ": " + message, {}, {}};
  }
  const bool bad_token = answer.status == 401 && !settings.token.empty() && code != "RepoNotFound";
  if (bad_token || says("Invalid credentials in Authorization header")) {
    return {ErrorTag::denied,
            "the token is valid",
            fmt::format("{} does not accept the token", settings.endpoint),
            token_advice(settings) + "; it may have expired",
            {}};
  }
  if (!question.repo.empty() && (code == "RepoNotFound" || answer.status == 401))
    return missing_repo(question, settings);
  if (answer.status == 401) {
    return {ErrorTag::denied,
            "this needs a token",
            fmt::format("no token was sent to {}", settings.endpoint),
            token_advice(settings),
            {}};
  }
  if (answer.status == 403) {
    return {ErrorTag::denied,
            "the token has the right to do this",
            fmt::format("{}{}{}", question.repo, message.empty() ? "" : ": ", message),
            token_advice(settings),
            {}};
  }
  const std::string what = fmt::format("{}{}{}", question.repo, question.file.empty() ? "" : "/", question.file);
  return {answer.status == 404 ? ErrorTag::not_found : ErrorTag::network,
          "the Hub gives what was asked for",
          fmt::format("{}: status {}{}{}", what.empty() ? settings.endpoint : what, answer.status,
                      message.empty() ? "" : ": ", message),
          "check the name and HF_ENDPOINT",
          {}};
}

}  // namespace pippin

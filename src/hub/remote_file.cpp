#include "hub/remote_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "hub/hub_error.h"
#include "hub/url.h"

namespace pippin {
namespace {

constexpr int most_redirects = 20;

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

// How far a read has come, and what stopped its last answer.
struct RemoteFile::Attempt {
  uint64_t at;
  uint64_t end;
  const Take& take;
  uint64_t skip = 0;     // bytes of the answer before `at`
  bool enough = false;   // all bytes came, though the answer goes on
  bool wrong = false;    // an answer that does not fit the question
  bool refused = false;  // by `take`
  std::optional<HttpFault> fault = std::nullopt;
  std::optional<HttpAnswer> answer = std::nullopt;  // with a status that is no success
  std::string url;                                  // that it came from
};

RemoteFile::RemoteFile(HubSession& session, std::string repo, std::string commit, RepoFile file)
    : session_(session), repo_(std::move(repo)), commit_(std::move(commit)), file_(std::move(file)) {
  resolve_url_ = fmt::format("{}/{}/resolve/{}/{}", session_.settings().endpoint, encoded_path(repo_), commit_,
                             encoded_path(file_.name));
}

std::string RemoteFile::url() const {
  const std::lock_guard lock(mutex_);
  return link_.empty() ? resolve_url_ : link_;
}

void RemoteFile::set_link(const std::string& link) {
  const std::lock_guard lock(mutex_);
  link_ = link;
}

void RemoteFile::drop_link(const std::string& link) {
  const std::lock_guard lock(mutex_);
  if (link_ == link) link_.clear();
}

void RemoteFile::set_ranges(Ranges ranges) {
  const std::lock_guard lock(mutex_);
  ranges_ = ranges;
}

RemoteFile::Ranges RemoteFile::ranges() const {
  const std::lock_guard lock(mutex_);
  return ranges_;
}

Status RemoteFile::read(uint64_t begin, uint64_t end, const Take& take) {
  Attempt state{.at = begin, .end = end, .take = take, .url = {}};
  int failures = 0;
  while (true) {
    const uint64_t before = state.at;
    PIPPIN_CHECK(attempt(state));
    if (state.at == end) return {};
    failures = state.at > before ? 1 : failures + 1;
    // A link that has expired, or a connection that broke after a while: ask at once.
    const bool expired = state.answer && !session_.is_hub(state.url) && !is_passing(state.answer->status);
    if (expired) drop_link(state.url);
    if (failures == 1 && (expired || state.at > before) && !session_.is_stopped()) continue;
    HttpFault fault{{ErrorTag::network,
                     "a server gives the bytes that it was asked for",
                     fmt::format("{}: {} of {} bytes came", shown_url(state.url), state.at, end),
                     "run it again later: what has arrived is kept",
                     {}},
                    true};
    if (state.fault) fault = *state.fault;
    auto give_up =
        state.answer ? session_.wait_after(failures, *state.answer, state.url) : session_.wait_after(failures, fault);
    if (give_up) return tl::unexpected<Error>(std::move(*give_up));
  }
}

// Follows redirects until an answer has come to its end, good or bad.
Status RemoteFile::attempt(Attempt& state) {
  std::string url = this->url();
  bool redirected = true;
  for (int redirects = 0; redirected; ++redirects) {
    if (redirects > most_redirects) {
      return fail(ErrorTag::network, fmt::format("at most {} redirects", most_redirects), shown_url(resolve_url_));
    }
    PIPPIN_CHECK(one_answer(state, url, redirected));
  }
  return {};
}

Status RemoteFile::one_answer(Attempt& state, std::string& url, bool& redirected) {
  redirected = false;
  state.url = url;
  state.skip = 0;
  state.enough = state.wrong = state.refused = false;
  state.fault.reset();
  state.answer.reset();

  const bool whole = state.at == 0 && state.end == file_.size;
  const bool with_range = !whole && ranges() != Ranges::ignored;
  HttpRequest request;
  request.url = url;
  request.own_connection = !file_.sha256.empty();
  if (with_range) request.headers.push_back(fmt::format("Range: bytes={}-{}", state.at, state.end - 1));
  request.begin = [&](const HttpAnswer& head) { return accept(state, head, with_range); };
  request.take = [&](std::span<const std::byte> bytes) -> Status {
    const auto skipped = static_cast<size_t>(std::min<uint64_t>(bytes.size(), state.skip));
    state.skip -= skipped;
    bytes = bytes.subspan(skipped);
    const auto wanted = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), state.end - state.at)));
    if (!wanted.empty()) {
      auto status = state.take(state.at, wanted);
      state.refused = !status;
      PIPPIN_CHECK(status);
      state.at += wanted.size();
    }
    state.enough = state.at == state.end && wanted.size() < bytes.size();
    return state.enough ? fail(ErrorTag::network, "", "enough") : Status();
  };

  auto answer = session_.once(std::move(request));
  if (!answer) {
    if (state.enough) return {};
    if (state.refused) return tl::unexpected<Error>(std::move(answer.error().error));
    if (!state.wrong) state.fault = std::move(answer.error());
    return {};
  }
  if (answer->status == 200 || answer->status == 206) return {};
  if (is_redirect(answer->status)) {
    PIPPIN_TRY(url, redirect_target(url, std::string(answer->headers.get("location"))));
    if (!session_.is_hub(url)) set_link(url);
    redirected = true;
    return {};
  }
  // The storage host's refusals concern its link, not the user.
  if (session_.is_hub(url) && !is_passing(answer->status)) {
    return tl::unexpected<Error>(error_of_answer(*answer, {repo_, commit_, file_.name}, session_.settings()));
  }
  state.answer = std::move(*answer);
  return {};
}

// Looks at the head of an answer before its bytes are taken.
Status RemoteFile::accept(Attempt& state, const HttpAnswer& head, bool asked_for_range) {
  if (head.status == 206) {
    const auto range = content_range(head.headers.get("content-range"));
    state.wrong = !asked_for_range || !range || range->begin != state.at || range->total != file_.size;
    if (!state.wrong) set_ranges(Ranges::given);
  } else if (head.status == 200) {
    const auto length = number_of(head.headers.get("content-length"));
    state.wrong = length && *length > file_.size;
    state.skip = state.at;
    if (!state.wrong && asked_for_range) set_ranges(Ranges::ignored);
  }
  if (state.wrong)
    return fail(ErrorTag::network, "an answer holds the range that it was asked for", shown_url(state.url));
  return {};
}

}  // namespace pippin

#include "hub/hub_session.h"

#include <curl/curlver.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include "hub/url.h"

namespace pippin {
namespace {

constexpr int most_redirects = 20;
constexpr std::array<const char*, 3> hub_origins{"https://huggingface.co:443", "https://hf.co:443",
                                                 "https://hub-ci.huggingface.co:443"};

HttpClientOptions client_options(const HubSettings& settings, const SessionOptions& options) {
  return {fmt::format("pippin/{}; libcurl/{}", PIPPIN_VERSION, LIBCURL_VERSION), settings.certificates,
          settings.silence_seconds, options.cancelled};
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Error interrupted() {
  return {ErrorTag::interrupted, "", "interrupted", "run it again: what has arrived is kept", {}};
}

}  // namespace

HubSession::HubSession(HubSettings settings, SessionOptions options)
    : settings_(std::move(settings)), options_(std::move(options)), client_(client_options(settings_, options_)) {}

bool HubSession::is_hub(const std::string& url) const {
  const auto origin = origin_of(url);
  if (!origin) return false;
  return origin == origin_of(settings_.endpoint) ||
         std::ranges::any_of(hub_origins, [&](const char* hub) { return *origin == hub; });
}

tl::expected<HttpAnswer, HttpFault> HubSession::once(HttpRequest request) {
  if (settings_.offline) {
    return tl::unexpected<HttpFault>(HttpFault{{ErrorTag::network,
                                                "offline, only what is in the cache can be used",
                                                shown_url(request.url) + " is not asked, as HF_HUB_OFFLINE is set",
                                                "unset HF_HUB_OFFLINE",
                                                {}}});
  }
  if (!settings_.token.empty() && !request.signed_link && is_hub(request.url))
    request.headers.push_back("Authorization: Bearer " + settings_.token);
  // Compressed answers have no length and no ranges.
  request.headers.emplace_back("Accept-Encoding: identity");
  return client_.exchange(request);
}

Result<HttpAnswer> HubSession::ask(const HttpRequest& request) {
  HttpRequest current = request;
  int failures = 0;
  int redirects = 0;
  while (true) {
    const auto answer = once(current);
    std::optional<Error> error;
    if (!answer) {
      error = wait_after(++failures, answer.error());
    } else if (is_passing(answer->status)) {
      error = wait_after(++failures, *answer, current.url);
    } else if (is_redirect(answer->status) && ++redirects <= most_redirects) {
      const std::string from = std::exchange(current.url, {});
      PIPPIN_TRY(current.url, redirect_target(from, std::string(answer->headers.get("location"))));
      const bool sends = current.method == "POST" || current.method == "PUT";
      if (sends && !is_hub(current.url)) {
        return fail(ErrorTag::network, "what is sent to the Hub stays there",
                    fmt::format("{} leads to {}", shown_url(from), shown_url(current.url)), "check HF_ENDPOINT");
      }
    } else {
      return *answer;
    }
    if (error) return tl::unexpected<Error>(std::move(*error));
  }
}

std::optional<Error> HubSession::wait_after(int failures, const HttpFault& fault) {
  if (!fault.passing) return fault.error;
  // Without a network the user wants to know at once, not after all tries.
  if (fault.unreachable && !client_.has_reached() && failures > 1) return fault.error;
  return wait(delay_after(failures), fault.error);
}

std::optional<Error> HubSession::wait_after(int failures, const HttpAnswer& answer, const std::string& url) {
  Error error{ErrorTag::network,
              "the server answers",
              fmt::format("{}: status {}", shown_url(url), answer.status),
              "run it again later: what has arrived is kept",
              {}};
  if (answer.status == 429) {
    error.rule = "the server takes only so many requests";
    if (settings_.token.empty()) error.way_out += "; with a token (HF_TOKEN) it takes more";
  }
  return wait(delay_after(failures, answer), std::move(error));
}

std::optional<Error> HubSession::wait(std::optional<double> delay, Error give_up) {
  if (is_stopped()) return interrupted();
  if (!delay) return give_up;
  if (options_.wait) return options_.wait(*delay) ? std::nullopt : std::optional(interrupted());
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(*delay);
  while (std::chrono::steady_clock::now() < end) {
    if (is_stopped()) return interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return std::nullopt;
}

void HubSession::stop() {
  stopped_ = true;
  client_.stop();
}

bool HubSession::is_stopped() const {
  return stopped_ || (options_.cancelled != nullptr && options_.cancelled->load());
}

}  // namespace pippin

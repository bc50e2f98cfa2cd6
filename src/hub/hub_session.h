// A session with the Hub: who asks, which servers may know, redirects and patience.
//
// The token goes to the Hub's own addresses (the endpoint's origin, huggingface.co, hf.co) and to no other. It stands
// in no message. Any number of threads.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "hub/http_client.h"
#include "hub/retry.h"
#include "hub/settings.h"

namespace pippin {

struct SessionOptions {
  const std::atomic<bool>* cancelled = nullptr;
  Wait wait = nullptr;  // for tests; by default it sleeps, and wakes when the session is cancelled
};

class HubSession {
 public:
  explicit HubSession(HubSettings settings, SessionOptions options = {});

  [[nodiscard]] const HubSettings& settings() const { return settings_; }
  [[nodiscard]] bool is_hub(const std::string& url) const;

  // One request, with the token where it may go. Offline it is an error (network) that is not passing.
  tl::expected<HttpAnswer, HttpFault> once(HttpRequest request);

  // A request whose answer is collected: redirects followed (at most 20; what is sent follows them to the Hub alone),
  // passing troubles waited for. Any final status.
  Result<HttpAnswer> ask(const HttpRequest& request);

  // After the failures-th failure in a row: waits, and gives nothing where another try is worth it, else the error to
  // give up with.
  std::optional<Error> wait_after(int failures, const HttpFault& fault);
  std::optional<Error> wait_after(int failures, const HttpAnswer& answer, const std::string& url);

  // Ends all requests, those to come too.
  void stop();
  [[nodiscard]] bool is_stopped() const;

 private:
  std::optional<Error> wait(std::optional<double> delay, Error give_up);

  HubSettings settings_;
  SessionOptions options_;
  std::atomic<bool> stopped_{false};
  HttpClient client_;
};

}  // namespace pippin

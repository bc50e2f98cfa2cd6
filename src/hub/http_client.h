// Requests over HTTP, one at a time for each thread that asks, all on one set of connections.
//
// libcurl's multi interface runs in a thread of its own: connections are kept and shared, HTTP/2 where a server speaks
// it. TLS is always verified. No redirect is followed here, no other scheme than http and https is spoken. Nothing is
// sent again, but where a kept connection turns out to be closed. Proxies come from HTTPS_PROXY, NO_PROXY and the like,
// as libcurl reads them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hub/answer_headers.h"
#include "pippin/error.h"

namespace pippin {

struct HttpAnswer {
  long status = 0;
  AnswerHeaders headers;
  std::string body;  // where the request does not take it itself
};

struct HttpRequest {
  std::string method = "GET";  // GET, HEAD, POST or PUT
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // of a POST
  bool own_connection = false;       // HTTP/1.1, so that several requests run side by side on connections of their own
  bool fresh_connection = false;     // a kept one may be closed meanwhile, and libcurl would send the request twice
  bool signed_link = false;          // the address itself says who may: no token goes along
  long silence_seconds = 0;          // longer than the client's, for what takes a server long; 0: the client's

  // Both run in the client's thread, and an error of theirs ends the exchange.
  // Called when the headers are there, before any byte of the body; body is empty then.
  std::function<Status(const HttpAnswer& head)> begin = nullptr;
  // Takes the body of an answer with status 200 or 206. Without it the body is collected, at most 64 MiB.
  std::function<Status(std::span<const std::byte> bytes)> take = nullptr;

  // The body of a PUT: give_size bytes. Fills `out` with those at `offset`, which may go back to 0. In the client's
  // thread; an error ends the exchange.
  uint64_t give_size = 0;
  std::function<Status(uint64_t offset, std::span<std::byte> out)> give = nullptr;
};

// Why there is no whole answer.
struct HttpFault {
  Error error;
  bool passing = false;      // asking again may help
  bool unreachable = false;  // no connection came about
};

struct HttpClientOptions {
  std::string user_agent;
  std::string certificates;  // a file of trusted certificates; empty: the system's
  long silence_seconds = 10;
  const std::atomic<bool>* cancelled = nullptr;  // true ends all exchanges (interrupted)
};

class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Waits for the answer. Any number of threads.
  tl::expected<HttpAnswer, HttpFault> exchange(const HttpRequest& request);

  // Ends all exchanges, those to come too (interrupted).
  void stop();
  // Whether any server has answered yet.
  [[nodiscard]] bool has_reached() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pippin

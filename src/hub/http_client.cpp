#include "hub/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>

#include "hub/url.h"

namespace pippin {
namespace {

constexpr size_t largest_body = size_t{64} << 20;
constexpr long connect_seconds = 10;
constexpr int poll_milliseconds = 100;

using Easy = std::unique_ptr<CURL, void (*)(CURL*)>;
using List = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;

Error interrupted() {
  return {ErrorTag::interrupted, "", "interrupted", "run it again: what has arrived is kept", {}};
}

// One exchange under way. The asking thread waits for `done`; until then only the loop's thread touches it.
struct Transfer {
  const HttpRequest& request;
  HttpAnswer answer;
  Easy easy{nullptr, curl_easy_cleanup};
  List headers{nullptr, curl_slist_free_all};
  std::array<char, CURL_ERROR_SIZE> problem{};
  uint64_t given = 0;  // bytes of the body that curl has
  bool begun = false;
  std::optional<Error> refused = std::nullopt;  // by the request's own functions
  CURLcode code = CURLE_OK;
  bool stopped = false;
  bool done = false;

  explicit Transfer(const HttpRequest& of) : request(of) {}

  bool begin() {
    if (begun) return true;
    begun = true;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    if (!request.begin) return true;
    if (auto status = request.begin(answer); !status) refused = std::move(status).error();
    return !refused;
  }

  bool take(std::span<const std::byte> bytes) {
    if (!begin()) return false;
    if (request.take && (answer.status == 200 || answer.status == 206)) {
      if (auto status = request.take(bytes); !status) refused = std::move(status).error();
      return !refused;
    }
    if (answer.body.size() + bytes.size() > largest_body) {
      refused = Error{ErrorTag::network,
                      fmt::format("an answer has at most {} bytes", largest_body),
                      shown_url(request.url) + " has more",
                      {},
                      {}};
      return false;
    }
    answer.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
};

size_t on_header(char* line, size_t size, size_t count, void* transfer) {
  auto& headers = static_cast<Transfer*>(transfer)->answer.headers;
  const std::string_view text(line, size * count);
  // A status line begins a new answer: one that came before was only preliminary.
  if (text.starts_with("HTTP/"))
    headers.clear();
  else
    headers.add(text);
  return size * count;
}

size_t on_body(char* bytes, size_t size, size_t count, void* transfer) {
  const bool taken = static_cast<Transfer*>(transfer)->take(std::as_bytes(std::span(bytes, size * count)));
  return taken ? size * count : CURL_WRITEFUNC_ERROR;
}

size_t on_give(char* bytes, size_t size, size_t count, void* of) {
  auto& transfer = *static_cast<Transfer*>(of);
  const auto wanted =
      static_cast<size_t>(std::min<uint64_t>(size * count, transfer.request.give_size - transfer.given));
  if (wanted == 0) return 0;
  if (auto status = transfer.request.give(transfer.given, std::as_writable_bytes(std::span(bytes, wanted))); !status) {
    transfer.refused = std::move(status).error();
    return CURL_READFUNC_ABORT;
  }
  transfer.given += wanted;
  return wanted;
}

// A kept connection may turn out to be closed: curl then begins the body again on a new one.
int on_seek(void* of, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(of);
  if (origin != SEEK_SET || offset < 0 || static_cast<uint64_t>(offset) > transfer.request.give_size)
    return CURL_SEEKFUNC_CANTSEEK;
  transfer.given = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

template <typename Value>
void set(const Transfer& transfer, CURLoption option, Value value) {
  curl_easy_setopt(transfer.easy.get(), option, value);
}

bool set_up(Transfer& transfer, const HttpClientOptions& options) {
  const HttpRequest& request = transfer.request;
  transfer.easy.reset(curl_easy_init());
  if (!transfer.easy) return false;
  for (const auto& header : request.headers) {
    curl_slist* longer = curl_slist_append(transfer.headers.get(), header.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(transfer.headers.release());
    transfer.headers.reset(longer);
  }
  set(transfer, CURLOPT_URL, request.url.c_str());
  set(transfer, CURLOPT_HTTPHEADER, transfer.headers.get());
  set(transfer, CURLOPT_USERAGENT, options.user_agent.c_str());
  if (request.method == "HEAD") set(transfer, CURLOPT_NOBODY, 1L);
  if (request.method == "POST") {
    set(transfer, CURLOPT_POST, 1L);
    set(transfer, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(transfer, CURLOPT_POSTFIELDS, request.body.data());
  }
  if (request.method == "PUT") {
    set(transfer, CURLOPT_UPLOAD, 1L);
    set(transfer, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.give_size));
    set(transfer, CURLOPT_READFUNCTION, on_give);
    set(transfer, CURLOPT_READDATA, static_cast<void*>(&transfer));
    set(transfer, CURLOPT_SEEKFUNCTION, on_seek);
    set(transfer, CURLOPT_SEEKDATA, static_cast<void*>(&transfer));
    set(transfer, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  }
  set(transfer, CURLOPT_PROTOCOLS_STR, "http,https");
  set(transfer, CURLOPT_FOLLOWLOCATION, 0L);
  set(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
  set(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.certificates.empty()) set(transfer, CURLOPT_CAINFO, options.certificates.c_str());
  set(transfer, CURLOPT_HTTP_VERSION,
      static_cast<long>(request.own_connection ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  if (!request.own_connection) set(transfer, CURLOPT_PIPEWAIT, 1L);
  if (request.fresh_connection) set(transfer, CURLOPT_FRESH_CONNECT, 1L);
  set(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(transfer, CURLOPT_CONNECTTIMEOUT, connect_seconds);
  set(transfer, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(transfer, CURLOPT_LOW_SPEED_TIME, std::max(options.silence_seconds, request.silence_seconds));
  set(transfer, CURLOPT_BUFFERSIZE, 256L << 10);
  set(transfer, CURLOPT_NOSIGNAL, 1L);
  set(transfer, CURLOPT_ERRORBUFFER, transfer.problem.data());
  set(transfer, CURLOPT_HEADERFUNCTION, on_header);
  set(transfer, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(transfer, CURLOPT_WRITEFUNCTION, on_body);
  set(transfer, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(transfer, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  return true;
}

HttpFault fault_of(const Transfer& transfer) {
  if (transfer.refused) return {*transfer.refused};
  if (transfer.stopped) return {interrupted()};
  const CURLcode code = transfer.code;
  const char* text = transfer.problem[0] != '\0' ? transfer.problem.data() : curl_easy_strerror(code);
  Error error{ErrorTag::network,
              "the server can be reached and answers in full",
              fmt::format("{}: {}", shown_url(transfer.request.url), text),
              "check the connection, HTTPS_PROXY and HF_ENDPOINT, then run it again: what has arrived is kept",
              {}};
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    error.rule = "the server proves who it is";
    error.way_out = "a proxy that opens TLS needs its certificate in SSL_CERT_FILE; else do not trust this connection";
  }
  const bool lasting = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                       code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
                       code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT;
  const bool unreachable =
      code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT;
  return {std::move(error), !lasting, unreachable};
}

void initialise_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

class HttpClient::Loop {
 public:
  explicit Loop(HttpClientOptions options) : options_(std::move(options)) {
    initialise_curl();
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 64L);
    if (multi_ != nullptr) thread_ = std::thread([this] { run(); });
  }

  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    if (multi_ == nullptr) return;
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void wait_for(Transfer& transfer) {
    if (multi_ == nullptr || is_stopped() || !set_up(transfer, options_)) {
      transfer.stopped = is_stopped();
      transfer.code = CURLE_OUT_OF_MEMORY;
      return;
    }
    std::unique_lock lock(mutex_);
    fresh_.push_back(&transfer);
    curl_multi_wakeup(multi_);
    changed_.wait(lock, [&] { return transfer.done; });
    if (transfer.code == CURLE_OK) reached_ = true;
  }

  void stop() {
    stopped_ = true;
    if (multi_ != nullptr) curl_multi_wakeup(multi_);
  }

  [[nodiscard]] bool has_reached() const { return reached_; }

 private:
  [[nodiscard]] bool is_stopped() const {
    return stopped_ || (options_.cancelled != nullptr && options_.cancelled->load());
  }

  void run() {
    // A connection that the other side has closed must show as an error of the transfer.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (add_fresh()) {
      int running = 0;
      curl_multi_perform(multi_, &running);
      finish_done();
      if (is_stopped()) finish_all();
      curl_multi_poll(multi_, nullptr, 0, poll_milliseconds, nullptr);
    }
  }

  // False when the loop is to end; nobody waits then.
  bool add_fresh() {
    const std::lock_guard lock(mutex_);
    for (Transfer* transfer : std::exchange(fresh_, {})) {
      curl_multi_add_handle(multi_, transfer->easy.get());
      running_.push_back(transfer);
    }
    return !ending_;
  }

  void finish_done() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      void* found = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &found);
      auto* transfer = static_cast<Transfer*>(found);
      // An answer without a body has called nothing yet.
      if (code == CURLE_OK) transfer->begin();
      finish(transfer, code, false);
    }
  }

  void finish_all() {
    while (!running_.empty()) finish(running_.back(), CURLE_ABORTED_BY_CALLBACK, true);
  }

  void finish(Transfer* transfer, CURLcode code, bool stopped) {
    curl_multi_remove_handle(multi_, transfer->easy.get());
    std::erase(running_, transfer);
    const std::lock_guard lock(mutex_);
    transfer->code = code;
    transfer->stopped = stopped;
    transfer->done = true;
    changed_.notify_all();
  }

  HttpClientOptions options_;
  CURLM* multi_ = nullptr;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Transfer*> fresh_;
  std::vector<Transfer*> running_;  // the loop's thread alone
  std::atomic<bool> stopped_{false};
  std::atomic<bool> reached_{false};
  bool ending_ = false;
};

HttpClient::HttpClient(HttpClientOptions options) : loop_(std::make_unique<Loop>(std::move(options))) {}

HttpClient::~HttpClient() = default;

tl::expected<HttpAnswer, HttpFault> HttpClient::exchange(const HttpRequest& request) {
  Transfer transfer(request);
  loop_->wait_for(transfer);
  if (transfer.code == CURLE_OK && !transfer.refused) return std::move(transfer.answer);
  return tl::unexpected<HttpFault>(fault_of(transfer));
}

void HttpClient::stop() {
  loop_->stop();
}

bool HttpClient::has_reached() const {
  return loop_->has_reached();
}

}  // namespace pippin

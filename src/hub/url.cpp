#include "hub/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "source/ascii_text.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

using Handle = std::unique_ptr<CURLU, void (*)(CURLU*)>;

Handle parsed(const std::string& url) {
  Handle handle(curl_url(), curl_url_cleanup);
  if (handle && curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) handle.reset();
  return handle;
}

std::string part_of(const Handle& handle, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string encoded(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte) != 0) || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain || (c == '/' && keep_slash))
      out += c;
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

}  // namespace

std::optional<std::string> origin_of(const std::string& url) {
  const Handle handle = parsed(url);
  if (!handle) return std::nullopt;
  const std::string scheme = lower_case(part_of(handle, CURLUPART_SCHEME));
  const std::string host = lower_case(part_of(handle, CURLUPART_HOST));
  if ((scheme != "https" && scheme != "http") || host.empty()) return std::nullopt;
  if (!part_of(handle, CURLUPART_USER).empty()) return std::nullopt;
  return fmt::format("{}://{}:{}", scheme, host, part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string encoded_segment(std::string_view text) {
  return encoded(text, false);
}

std::string encoded_path(std::string_view text) {
  return encoded(text, true);
}

Result<std::string> redirect_target(const std::string& url, const std::string& location) {
  const auto refused = [&](const char* rule) {
    return fail(ErrorTag::network, rule, fmt::format("{} leads to {}", shown_url(url), printable(shown_url(location))),
                "do not trust this server");
  };
  const Handle handle = parsed(url);
  if (!handle || location.empty() || curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return refused("a redirect leads to an http or https address");
  }
  const std::string target = part_of(handle, CURLUPART_URL);
  const auto origin = origin_of(target);
  if (!origin) return refused("a redirect leads to an http or https address");
  if (lower_case(url).starts_with("https:") && !origin->starts_with("https:")) {
    return refused("a redirect never leads from https to http");
  }
  return target;
}

std::string shown_url(const std::string& url) {
  return url.substr(0, std::min(url.find('?'), url.find('#')));
}

}  // namespace pippin

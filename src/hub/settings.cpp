#include "hub/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>

#include "hub/url.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

std::string first_of(const ReadVariable& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = environment(name); value && !value->empty()) return *value;
  }
  return {};
}

bool is_true(const std::string& value) {
  std::string upper = value;
  for (auto& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper == "1" || upper == "ON" || upper == "YES" || upper == "TRUE";
}

// "~" at the begin and $NAME or ${NAME} anywhere, as a shell reads them.
fs::path expanded(const ReadVariable& environment, const std::string& text) {
  std::string out;
  size_t at = 0;
  if (text == "~" || text.starts_with("~/")) {
    out = environment("HOME").value_or("~");
    at = 1;
  }
  while (at < text.size()) {
    if (text[at] != '$') {
      out += text[at++];
      continue;
    }
    const bool braced = at + 1 < text.size() && text[at + 1] == '{';
    const size_t begin = at + (braced ? 2 : 1);
    size_t end = begin;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) ++end;
    const bool closed = !braced || (end < text.size() && text[end] == '}');
    const auto value = end > begin && closed ? environment(text.substr(begin, end - begin)) : std::nullopt;
    if (value) {
      out += *value;
      at = end + (braced ? 1 : 0);
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string trimmed(std::string text) {
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::ranges::find_if_not(text, is_space));
  text.erase(std::find_if_not(text.rbegin(), text.rend(), is_space).base(), text.end());
  return text;
}

std::string text_of_small_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(4096, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

Status read_token(const ReadVariable& environment, const fs::path& home, HubSettings& settings) {
  if (is_true(first_of(environment, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return {};
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    settings.token = trimmed(first_of(environment, {name}));
    settings.token_origin = name;
    if (!settings.token.empty()) break;
  }
  if (settings.token.empty()) {
    const std::string named = first_of(environment, {"HF_TOKEN_PATH"});
    const fs::path path = named.empty() ? home / "token" : expanded(environment, named);
    settings.token = trimmed(text_of_small_file(path));
    settings.token_origin = path.string();
  }
  const bool fits = std::ranges::all_of(settings.token, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!fits) {
    // The token itself is never shown.
    return fail(ErrorTag::usage, "an access token is one word of visible characters",
                fmt::format("the token of {} is not", settings.token_origin), "log in again, or set HF_TOKEN");
  }
  if (settings.token.empty()) settings.token_origin.clear();
  return {};
}

long seconds_of(const std::string& text, long standard) {
  long seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return code == std::errc() && seconds > 0 && seconds < 86400 ? seconds : standard;
}

}  // namespace

Result<HubSettings> settings_of(const ReadVariable& environment) {
  HubSettings settings;
  if (std::string given = first_of(environment, {"HF_ENDPOINT"}); !given.empty()) {
    while (given.ends_with('/')) given.pop_back();
    if (!origin_of(given)) {
      return fail(ErrorTag::usage, "HF_ENDPOINT is an http or https address", given,
                  "HF_ENDPOINT=https://huggingface.co");
    }
    settings.endpoint = given;
  }
  const std::string home_given = first_of(environment, {"HF_HOME"});
  const std::string xdg = first_of(environment, {"XDG_CACHE_HOME"});
  const fs::path home = !home_given.empty() ? expanded(environment, home_given)
                        : !xdg.empty()      ? expanded(environment, xdg) / "huggingface"
                                            : expanded(environment, "~/.cache/huggingface");
  const std::string cache = first_of(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = cache.empty() ? home / "hub" : expanded(environment, cache);
  PIPPIN_CHECK(read_token(environment, home, settings));
  settings.certificates = first_of(environment, {"SSL_CERT_FILE"});
  settings.offline =
      is_true(first_of(environment, {"HF_HUB_OFFLINE"})) || is_true(first_of(environment, {"TRANSFORMERS_OFFLINE"}));
  settings.symlinks = !is_true(first_of(environment, {"HF_HUB_DISABLE_SYMLINKS"}));
  settings.silence_seconds = seconds_of(first_of(environment, {"HF_HUB_DOWNLOAD_TIMEOUT"}), settings.silence_seconds);
  return settings;
}

std::optional<std::string> variable_of_process(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace pippin

#include "hub/stand_in.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace pippin {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string noise(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<char>(seed >> 56);
  }
  return bytes;
}

StandIn::StandIn(std::vector<std::string> arguments) {
  const auto ready = folder_.path() / "ready.json";
  std::vector<std::string> command{PIPPIN_PYTHON,
                                   "-B",
                                   PIPPIN_SOURCE_DIR "/tests/hub/stand_in_hub.py",
                                   "--root",
                                   (folder_.path() / "repos").string(),
                                   "--ready-file",
                                   ready.string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> words;
  for (auto& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  child_ = ::fork();
  if (child_ == 0) {
    // What it prints is for people who run it by hand.
    static_cast<void>(!freopen("/dev/null", "w", stdout));
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  for (int i = 0; i < 600 && !std::filesystem::exists(ready); ++i) {
    if (::waitpid(child_, nullptr, WNOHANG) != 0) throw std::runtime_error("the stand-in has ended");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::ifstream in(ready);
  endpoint_ = nlohmann::json::parse(in).at("hub");
}

StandIn::~StandIn() {
  if (child_ <= 0) return;
  ::kill(child_, SIGTERM);
  ::waitpid(child_, nullptr, 0);
}

void StandIn::add(const std::string& repo, std::string_view file, std::string_view content) const {
  static_cast<void>(folder_.write("repos/" + repo + "/" + std::string(file), content));
}

std::string StandIn::control(const std::string& method, const std::string& what, const std::string& body) const {
  HttpClientOptions options;
  options.user_agent = "test";
  HttpClient client(options);
  HttpRequest request;
  request.method = method;
  request.url = endpoint_ + "/__stand_in__/" + what;
  request.body = body;
  const auto answer = client.exchange(request);
  if (!answer) throw std::runtime_error(answer.error().error.message());
  if (answer->status != 200) throw std::runtime_error(answer->body);
  return answer->body;
}

void StandIn::set_faults(const std::string& json) const {
  static_cast<void>(control("POST", "faults", json));
}

bool StandIn::all_faults_fired() const {
  const auto faults = nlohmann::json::parse(control("GET", "faults"));
  return std::ranges::all_of(faults, [](const auto& fault) { return fault.at("fired") > 0; });
}

nlohmann::json StandIn::log() const {
  return nlohmann::json::parse(control("GET", "log"));
}

uint64_t StandIn::bytes_sent() const {
  uint64_t bytes = 0;
  for (const auto& row : log()) {
    const auto route = row.at("route").get<std::string>();
    // Errors and redirects have bodies too; they are no contents.
    if ((route == "download" || route == "resolve" || route == "resolve-cache") && row.at("status") < 300)
      bytes += row.at("sent").get<uint64_t>();
  }
  return bytes;
}

int StandIn::leaked_tokens() const {
  return nlohmann::json::parse(control("GET", "summary")).at("auth_on_cdn");
}

HubSettings StandIn::settings(const std::string& token) const {
  HubSettings settings;
  settings.endpoint = endpoint_;
  settings.cache = cache();
  settings.token = token;
  settings.token_origin = token.empty() ? "" : "HF_TOKEN";
  return settings;
}

}  // namespace pippin

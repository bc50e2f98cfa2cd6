// Where the Hub is, where its files are kept, and who asks: the settings that all Hugging Face tools share.
//
// HF_ENDPOINT, HF_HOME, HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE), XDG_CACHE_HOME, HF_TOKEN (or HUGGING_FACE_HUB_TOKEN),
// HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE), HF_HUB_DOWNLOAD_TIMEOUT,
// HF_HUB_DISABLE_SYMLINKS, SSL_CERT_FILE. libcurl itself reads HTTPS_PROXY and NO_PROXY.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "pippin/error.h"

namespace pippin {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // without a final slash
  std::filesystem::path cache;                      // the folder that holds models--org--name
  std::string token;                                // empty: none
  std::string token_origin;                         // "HF_TOKEN" or the file's path; for messages
  std::string certificates;                         // a file of trusted certificates; empty: the system's
  bool offline = false;
  bool symlinks = true;
  long silence_seconds = 10;  // how long a server may say nothing
};

// A variable's value; nothing where it is not set.
using ReadVariable = std::function<std::optional<std::string>(const std::string& name)>;

// An endpoint that is no http or https address, or a token that cannot stand in a header, is an error (usage).
Result<HubSettings> settings_of(const ReadVariable& environment);

// The environment of this process.
std::optional<std::string> variable_of_process(const std::string& name);

}  // namespace pippin

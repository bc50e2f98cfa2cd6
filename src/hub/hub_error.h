// What an answer of the Hub means when it is not the one that was wanted.
#pragma once

#include <string>

#include "hub/http_client.h"
#include "hub/settings.h"
#include "pippin/error.h"

namespace pippin {

// What was asked for, so that the message can say it.
struct Question {
  std::string repo;      // empty: nothing of a repository
  std::string revision;  // empty: not one of these
  std::string file;
};

// Tells apart: a gated repository, a bad token, a missing or hidden one (without a token the Hub does not say which), a
// missing revision, a missing file, a disabled repository, a token without the right. Tags: denied, not_found, network.
Error error_of_answer(const HttpAnswer& answer, const Question& question, const HubSettings& settings);

// The Hub's own words: X-Error-Message, or "error" of the JSON body; printable, at most 300 bytes.
std::string message_of_answer(const HttpAnswer& answer);

}  // namespace pippin

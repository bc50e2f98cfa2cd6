// Answers requests about tokenizers and chat templates: one JSON object a line in, one out. For tests that compare with
// the Python packages; see tests/text/tokenizer_reference_test.py and tests/text/template_reference_test.py.
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include "text/chat_template.h"
#include "text/streaming_detokenizer.h"
#include "text/tokenizer.h"

namespace {

using Json = nlohmann::ordered_json;
using pippin::Result;
using Ids = std::vector<std::int32_t>;

Result<const pippin::Tokenizer*> tokenizer_of(const std::string& folder) {
  static std::map<std::string, pippin::Tokenizer> opened;
  auto found = opened.find(folder);
  if (found == opened.end()) {
    PIPPIN_TRY(pippin::Tokenizer tokenizer, pippin::Tokenizer::open(folder));
    found = opened.emplace(folder, std::move(tokenizer)).first;
  }
  return &found->second;
}

Result<Json> encode(const Json& request) {
  PIPPIN_TRY(const pippin::Tokenizer* tokenizer, tokenizer_of(request["folder"]));
  PIPPIN_TRY(Ids ids, tokenizer->encode(request["text"].get<std::string>(), request["special"]));
  return Json(ids);
}

Result<Json> decode(const Json& request) {
  PIPPIN_TRY(const pippin::Tokenizer* tokenizer, tokenizer_of(request["folder"]));
  PIPPIN_TRY(std::string text, tokenizer->decode(request["ids"].get<Ids>(), request["skip"]));
  return Json(text);
}

Result<Json> stream(const Json& request) {
  PIPPIN_TRY(const pippin::Tokenizer* tokenizer, tokenizer_of(request["folder"]));
  PIPPIN_TRY(auto detokenizer, pippin::StreamingDetokenizer::of(*tokenizer, request["skip"]));
  Json pieces = Json::array();
  for (const std::int32_t id : request["ids"].get<Ids>()) {
    PIPPIN_TRY(std::string piece, detokenizer.add(id));
    pieces.push_back(piece);
  }
  PIPPIN_TRY(std::string rest, detokenizer.finish());
  pieces.push_back(rest);
  return pieces;
}

Result<Json> describe(const Json& request) {
  PIPPIN_TRY(const pippin::Tokenizer* tokenizer, tokenizer_of(request["folder"]));
  Json special = Json::object();
  for (const auto& [name, content] : tokenizer->special_tokens()) special[name] = content;
  return Json{{"size", tokenizer->vocabulary_size()}, {"special", special}, {"eos", tokenizer->eos_ids()}};
}

Result<Json> render(const Json& request) {
  PIPPIN_TRY(const auto chat, pippin::ChatTemplate::of(request["folder"].get<std::string>()));
  if (!chat) return Json(nullptr);
  pippin::ChatOptions options;
  options.add_generation_prompt = request.value("add_generation_prompt", false);
  options.tools = request.value("tools", Json(nullptr));
  options.documents = request.value("documents", Json(nullptr));
  options.variables = request.value("variables", Json::object());
  PIPPIN_TRY(std::string text, chat->render(request["messages"], options));
  return Json(text);
}

Result<Json> answer(const Json& request) {
  const std::string what = request["do"];
  if (what == "encode") return encode(request);
  if (what == "decode") return decode(request);
  if (what == "stream") return stream(request);
  if (what == "describe") return describe(request);
  return render(request);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const Result<Json> found = answer(Json::parse(line));
    const Json reply = found ? Json{{"answer", *found}} : Json{{"error", found.error().message()}};
    std::cout << reply.dump() << "\n";
  }
}

#include "pippin/batch.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "generate/answer.h"
#include "source/json_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto tolerant = Json::error_handler_t::replace;

tl::unexpected<Error> bad(std::string_view where, std::string rule, const std::string& found) {
  return fail(ErrorTag::usage, std::move(rule), fmt::format("{}: {}", where, found));
}

Result<Generation> answer_item(const Model& model, const BatchItem& item, GenerateOptions options,
                               const PromptCache* cache) {
  if (item.max_tokens) options.max_tokens = *item.max_tokens;
  return cache != nullptr ? cache->stream(item.prompt, options) : generate(model, item.prompt, options);
}

BatchResult result_of(const Model& model, size_t number, const std::string& line, const Prompt& defaults,
                      const GenerateOptions& options, const PromptCache* cache) {
  auto item = parse_batch_line(line, fmt::format("line {}", number), defaults);
  if (!item) return {number, {}, tl::unexpected<Error>(std::move(item).error())};
  auto generation = answer_item(model, *item, options, cache);
  return {number, std::move(item->id), std::move(generation)};
}

}  // namespace

bool is_blank_line(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Result<BatchItem> parse_batch_line(std::string_view line, std::string_view where, const Prompt& defaults) {
  PIPPIN_TRY(const Json json, parse_json(line, where));
  if (!json.is_object()) return bad(where, "a line of a batch is a JSON object", json.type_name());
  const auto prompt = json.find("prompt");
  const auto messages = json.find("messages");
  if ((prompt == json.end()) == (messages == json.end()))
    return bad(where, "a line of a batch has a prompt or messages", prompt == json.end() ? "neither" : "both");
  BatchItem item{defaults, std::nullopt, {}};
  if (prompt != json.end()) {
    if (!prompt->is_string()) return bad(where, "a prompt is a text", prompt->type_name());
    item.prompt.text = prompt->get<std::string>();
  } else {
    if (!messages->is_array() || messages->empty())
      return bad(where, "messages are a list of objects with role and content", messages->type_name());
    item.prompt.messages = messages->dump(-1, ' ', false, tolerant);
  }
  if (const auto most = json.find("max_tokens"); most != json.end() && !most->is_null()) {
    if (!most->is_number_integer() || *most < -1 || *most == 0 || *most > 1'000'000'000)
      return bad(where, "max_tokens is at least 1, or -1 for no limit", most->dump(-1, ' ', false, tolerant));
    item.max_tokens = most->get<int>();
  }
  if (const auto id = json.find("id"); id != json.end()) item.id = id->dump(-1, ' ', false, tolerant);
  return item;
}

std::string json_line(const BatchResult& result) {
  Json json = {{"line", result.line}};
  if (!result.id.empty()) json["id"] = Json::parse(result.id, nullptr, false);
  if (!result.generation) {
    const Error& error = result.generation.error();
    json["error"] = {
        {"tag", name_of(error.tag)}, {"rule", error.rule}, {"value", error.value}, {"way_out", error.way_out}};
    return json.dump(-1, ' ', false, tolerant);
  }
  const Generation& g = *result.generation;
  json["text"] = g.text;
  json["finish_reason"] = name_of(g.finish);
  json["prompt_tokens"] = g.prompt_tokens;
  json["generated_tokens"] = g.generated_tokens;
  return json.dump(-1, ' ', false, tolerant);
}

Result<BatchReport> generate_batch(const Model& model, std::span<const std::string> lines, const Prompt& defaults,
                                   const GenerateOptions& options, const PromptCache* cache,
                                   const OnBatchResult& on_result) {
  PIPPIN_CHECK(check_options(model.parts(), options));
  BatchReport report;
  const auto begin = std::chrono::steady_clock::now();
  const auto cancelled = [&] { return options.cancelled != nullptr && options.cancelled->load(); };
  for (size_t k = 0; k < lines.size(); ++k) {
    if (is_blank_line(lines[k])) continue;
    if (cancelled()) {
      ++report.left;
      continue;
    }
    const BatchResult result = result_of(model, k + 1, lines[k], defaults, options, cache);
    if (result.generation && result.generation->finish == FinishReason::cancelled) {
      ++report.left;
      continue;
    }
    ++(result.generation ? report.answered : report.failed);
    if (result.generation) report.generated_tokens += static_cast<uint64_t>(result.generation->generated_tokens);
    if (!result.generation && !report.first_error) report.first_error = result.generation.error();
    PIPPIN_CHECK(on_result(result));
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace pippin

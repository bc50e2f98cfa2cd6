// Answers to many prompts, one JSON object a line (JSONL).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pippin/error.h"
#include "pippin/generate.h"
#include "pippin/prompt_cache.h"

namespace pippin {

// A line: {"prompt": TEXT} or {"messages": [{"role": ..., "content": ...}]}; "max_tokens" and "id" may be given, and
// other names are passed over.
struct BatchItem {
  Prompt prompt;
  std::optional<int> max_tokens;
  std::string id;  // its JSON; empty: none
};
// Whether the line holds nothing; such lines are passed over.
bool is_blank_line(std::string_view line);
// where: for messages. defaults: what a line does not say. Errors: bad_file, no JSON; usage, another form.
Result<BatchItem> parse_batch_line(std::string_view line, std::string_view where, const Prompt& defaults);

struct BatchResult {
  size_t line;  // counted from 1
  std::string id;
  Result<Generation> generation;
};
// One line of JSON: {"line": 1, "id": ..., "text": ..., "finish_reason": ..., "prompt_tokens": ...,
// "generated_tokens": ...}, or {"line": 1, "error": {"tag": ..., "rule": ..., "value": ..., "way_out": ...}}.
std::string json_line(const BatchResult& result);

struct BatchReport {
  size_t answered = 0;
  size_t failed = 0;
  size_t left = 0;  // after an interruption
  uint64_t generated_tokens = 0;
  double seconds = 0;
  std::optional<Error> first_error;
};

// Called for each line that is not blank, in order. An error ends the run.
using OnBatchResult = std::function<Status(const BatchResult&)>;

// A line that fails is a result like others. The options' flag ends the run; the answer that was under way is dropped
// then. cache: what all prompts go on from, or null. Errors: options that make no sense, and what on_result gives.
Result<BatchReport> generate_batch(const Model& model, std::span<const std::string> lines, const Prompt& defaults,
                                   const GenerateOptions& options, const PromptCache* cache,
                                   const OnBatchResult& on_result);

}  // namespace pippin

#include "cli/runtime/generation_report.h"

#include <cstdio>

#include <fmt/format.h>

#include "cli/json_output.h"

namespace pippin::cli {

std::string json_text(const Generation& g, int indent) {
  nlohmann::ordered_json json = {{"text", g.text},
                                 {"ids", g.ids},
                                 {"finish_reason", name_of(g.finish)},
                                 {"prompt_tokens", g.prompt_tokens},
                                 {"cached_tokens", g.cached_tokens},
                                 {"generated_tokens", g.generated_tokens},
                                 {"prompt_seconds", g.prompt_seconds},
                                 {"generation_seconds", g.generation_seconds},
                                 {"prompt_tokens_per_second", g.prompt_speed()},
                                 {"generation_tokens_per_second", g.generation_speed()},
                                 {"peak_memory", g.peak_memory}};
  if (g.drafted_tokens > 0) {
    json["drafted_tokens"] = g.drafted_tokens;
    json["accepted_tokens"] = g.accepted_tokens;
  }
  return json_text(json, indent);
}

OnSegment shown(const Common& common) {
  if (common.json) return {};
  return [](const Segment& segment) {
    std::fwrite(segment.text.data(), 1, segment.text.size(), stdout);
    return std::fflush(stdout) == 0;
  };
}

void print_speeds(const Generation& g) {
  if (g.finish == FinishReason::cancelled && g.generated_tokens == 0) {
    fmt::print(stderr, "Interrupted while the prompt was read.\n");
    return;
  }
  fmt::print(stderr, "Prompt: {} tokens, {:.3f} tokens-per-sec\n", g.prompt_tokens, g.prompt_speed());
  fmt::print(stderr, "Generation: {} tokens, {:.3f} tokens-per-sec\n", g.generated_tokens, g.generation_speed());
  if (g.drafted_tokens > 0)
    fmt::print(stderr, "Drafted: {} tokens, {} of them accepted\n", g.drafted_tokens, g.accepted_tokens);
  fmt::print(stderr, "Peak memory: {:.3f} GB\n", static_cast<double>(g.peak_memory) / 1e9);
  if (g.finish == FinishReason::context) fmt::print(stderr, "The answer ends here: the model's context is full.\n");
}

}  // namespace pippin::cli

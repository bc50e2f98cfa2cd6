#include <cctype>
#include <cstdio>
#include <iostream>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "cli/runtime/runs.h"
#include "cli/signals.h"

namespace pippin::cli {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// \n and \t stand for line ends and tabs, as in the reference.
std::string text_of(const GenerateArguments& a) {
  std::string text = a.prompt;
  replace_all(text, "\\n", "\n");
  replace_all(text, "\\t", "\t");
  if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
  return text;
}

Prompt prompt_of(const GenerateArguments& a) {
  Prompt prompt;
  prompt.text = text_of(a);
  prompt.system = a.system_prompt;
  prompt.prefill = a.prefill_response;
  prompt.use_template = !a.ignore_template;
  prompt.use_default_template = a.default_template;
  prompt.template_variables = a.template_config;
  return prompt;
}

void print_json(const Generation& g) {
  const nlohmann::ordered_json json = {{"text", g.text},
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
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_speeds(const Generation& g) {
  fmt::print(stderr, "Prompt: {} tokens, {:.3f} tokens-per-sec\n", g.prompt_tokens, g.prompt_speed());
  fmt::print(stderr, "Generation: {} tokens, {:.3f} tokens-per-sec\n", g.generated_tokens, g.generation_speed());
  fmt::print(stderr, "Peak memory: {:.3f} GB\n", static_cast<double>(g.peak_memory) / 1e9);
  if (g.finish == FinishReason::context) fmt::print(stderr, "The answer ends here: the model's context is full.\n");
}

bool is_false(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "false" || text == "f";
}

}  // namespace

Result<int> run_generate(GenerateArguments& a, const Common& common) {
  if (!a.has_prompt)
    return fail(ErrorTag::usage, "a prompt is needed", "none was given",
                "--prompt TEXT, or --prompt - for standard input");
  const Prompt prompt = prompt_of(a);
  PIPPIN_TRY(const Model model, load_model(a.model, common));
  a.options.cancelled = &stop_on_signals();
  OnSegment show;
  if (!common.json) {
    show = [](const Segment& segment) {
      std::fwrite(segment.text.data(), 1, segment.text.size(), stdout);
      return std::fflush(stdout) == 0;
    };
  }
  PIPPIN_TRY(const Generation result, stream(model, prompt, a.options, show));
  if (common.json) {
    print_json(result);
  } else {
    fmt::print("\n");
    std::fflush(stdout);
    if (!common.quiet && !is_false(a.verbose)) print_speeds(result);
  }
  return result.finish == FinishReason::cancelled ? exit_status_of(ErrorTag::interrupted) : 0;
}

}  // namespace pippin::cli

#include "cli/generate_flags.h"

#include <charconv>

namespace pippin::cli {
namespace {

// "ID=BIAS"
std::string take_bias(SamplingOptions& sampling, const std::string& text) {
  int32_t id = 0;
  double bias = 0;
  const char* const end = text.data() + text.size();
  const auto [equals, id_code] = std::from_chars(text.data(), end, id);
  if (id_code != std::errc() || equals == end || *equals != '=') return "is not ID=BIAS";
  const auto [last, code] = std::from_chars(equals + 1, end, bias);
  if (code != std::errc() || last != end) return "is not ID=BIAS";
  sampling.logit_bias[id] = bias;
  return {};
}

}  // namespace

CLI::Option* add_model_flags(CLI::App& command, ModelArguments& a) {
  CLI::Option* model =
      command.add_option("model,--model", a.model, "Folder of an MLX model or of a checkpoint, or org/name on the Hub")
          ->required()
          ->type_name("MODEL");
  command.add_option("--revision", a.revision, "Branch, tag or commit of a repository")->capture_default_str();
  command.add_option("--arch", a.arch, "Spec name, spec file or folder of specs")->allow_extra_args(false);
  command.add_flag("--mlx-kernels", a.mlx_kernels, "On the CPU: compute with MLX's own kernels");
  command.add_flag("--trust-remote-code", a.trust_remote_code, "Accepted; no code of a model is ever run");
  return model;
}

void add_prompt_flags(CLI::App& command, GenerateArguments& a) {
  const char* group = "Prompt";
  command
      .add_option_function<std::string>(
          "-p,--prompt",
          [&a](const std::string& text) {
            a.prompt = text;
            a.has_prompt = true;
          },
          "Message to the model; - reads standard input")
      ->group(group);
  command.add_option("--system-prompt", a.system_prompt, "System message before it")->group(group);
  command.add_option("--prefill-response", a.prefill_response, "The answer's beginning")->group(group);
  command.add_flag("--ignore-chat-template", a.ignore_template, "Take the prompt as it is")->group(group);
  command.add_flag("--use-default-chat-template", a.default_template, "ChatML where the model has no chat template")
      ->group(group);
  command
      .add_option("--chat-template-config", a.template_config,
                  "Variables of the chat template: {\"enable_thinking\": false}")
      ->group(group)
      ->type_name("JSON");
}

void add_sampling_flags(CLI::App& command, SamplingOptions& s) {
  const char* group = "Sampling";
  command.add_option("--temp", s.temperature, "Temperature; 0 takes the likeliest token")
      ->group(group)
      ->capture_default_str();
  command.add_option("--top-p", s.top_p, "Likeliest tokens up to this probability")
      ->group(group)
      ->capture_default_str();
  command.add_option("--min-p", s.min_p, "Least probability, relative to the likeliest token")
      ->group(group)
      ->capture_default_str();
  command.add_option("--min-tokens-to-keep", s.min_tokens_to_keep, "That --min-p keeps at least")
      ->group(group)
      ->capture_default_str();
  command.add_option("--top-k", s.top_k, "Number of likeliest tokens; 0: all")->group(group)->capture_default_str();
  command.add_option("--xtc-probability", s.xtc_probability, "How often the likeliest tokens are left out")
      ->group(group)
      ->capture_default_str();
  command.add_option("--xtc-threshold", s.xtc_threshold, "From which probability on")
      ->group(group)
      ->capture_default_str();
  command.add_option("--seed", s.seed, "Of the random numbers [a new one each time]")->group(group);
  command.add_option("--repetition-penalty", s.repetition_penalty, "Factor for tokens that came lately; 0: none")
      ->group(group);
  command.add_option("--repetition-context-size", s.repetition_context_size, "Tokens that lately means")
      ->group(group)
      ->capture_default_str();
  command.add_option("--presence-penalty", s.presence_penalty, "Taken off tokens that came lately")->group(group);
  command.add_option("--frequency-penalty", s.frequency_penalty, "The same, for each time")->group(group);
  command
      .add_option_function<std::vector<std::string>>(
          "--logit-bias",
          [&s](const std::vector<std::string>& all) {
            for (const auto& text : all) {
              if (auto fault = take_bias(s, text); !fault.empty())
                throw CLI::ValidationError("--logit-bias " + text, fault);
            }
          },
          "Added to a token's logit; may be given several times")
      ->group(group)
      ->allow_extra_args(false)
      ->type_name("ID=BIAS");
}

void add_length_flags(CLI::App& command, GenerateOptions& o) {
  const char* group = "Length";
  command.add_option("-m,--max-tokens", o.max_tokens, "Tokens of the answer; -1: no limit")
      ->group(group)
      ->capture_default_str();
  command.add_option("--stop", o.stop, "TEXT that ends the answer; may be given several times")
      ->group(group)
      ->allow_extra_args(false);
  command.add_option("--extra-eos-token", o.extra_eos, "Tokens that end it as well")->group(group);
  command
      .add_flag(
          "--no-context-limit", [&o](int64_t) { o.limit_context = false; },
          "Go on beyond the context that the model was trained for")
      ->group(group);
}

void add_draft_flags(CLI::App& command, std::string& draft_model, GenerateOptions& o) {
  const char* group = "Speculative decoding";
  command.add_option("--draft-model", draft_model, "A small model with the same tokenizer, which drafts tokens")
      ->group(group)
      ->type_name("MODEL");
  command.add_option("--num-draft-tokens", o.draft_tokens, "Tokens drafted at a time")
      ->group(group)
      ->capture_default_str();
}

void add_cache_flags(CLI::App& command, GenerateOptions& o) {
  const char* group = "Keys and values";
  command.add_option("--max-kv-size", o.max_kv_size, "Tokens kept; older ones but for the first 4 are forgotten")
      ->group(group);
  command.add_option("--prefill-step-size", o.prefill_step, "Tokens of the prompt read at a time")
      ->group(group)
      ->capture_default_str();
  command.add_option("--kv-bits", o.kv_bits, "Quantize them to so many bits")->group(group);
  command.add_option("--kv-group-size", o.kv_group_size, "Values that share a scale")
      ->group(group)
      ->capture_default_str();
  command.add_option("--quantized-kv-start", o.quantized_kv_start, "Tokens from which on they are quantized")
      ->group(group)
      ->capture_default_str();
}

}  // namespace pippin::cli

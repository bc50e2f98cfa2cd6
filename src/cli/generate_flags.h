// The flags of the commands that run models. They are parsed without the runtime, for help texts and completions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "pippin/chat.h"
#include "pippin/generate.h"

namespace pippin::cli {

// The model, and how it is loaded.
struct ModelArguments {
  std::string model;  // a folder, or org/name
  std::string revision = "main";
  std::vector<std::string> arch;
  std::string progress = "auto";
  bool mlx_kernels = false;
  bool trust_remote_code = false;
};

struct GenerateArguments {
  ModelArguments model;
  std::string prompt;
  bool has_prompt = false;
  std::optional<std::string> system_prompt;
  std::optional<std::string> prefill_response;
  std::string template_config;
  bool ignore_template = false;
  bool default_template = false;
  std::string verbose = "true";
  std::string prompt_cache_file;
  std::string draft_model;
  std::string batch;   // a file of prompts
  std::string output;  // of a batch; empty: standard output
  GenerateOptions options;
};

struct ChatArguments {
  ModelArguments model;
  std::string draft_model;
  ChatSettings settings;
};

struct CachePromptArguments {
  ModelArguments model;
  std::string prompt;
  std::string prompt_cache_file;
  std::string eos_token;
  GenerateOptions options;
};

// Gives the option that names the model, which is required.
CLI::Option* add_model_flags(CLI::App& command, ModelArguments& arguments);
void add_prompt_flags(CLI::App& command, GenerateArguments& arguments);
void add_sampling_flags(CLI::App& command, SamplingOptions& sampling);
void add_length_flags(CLI::App& command, GenerateOptions& options);
void add_cache_flags(CLI::App& command, GenerateOptions& options);
void add_draft_flags(CLI::App& command, std::string& draft_model, GenerateOptions& options);

}  // namespace pippin::cli

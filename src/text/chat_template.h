// Chats as the text that a model was trained on: its chat template, rendered as transformers' apply_chat_template does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

struct PippinTemplate;

namespace pippin {

struct ChatMessage {
  std::string role;
  std::string content;
  // Further fields of the message: tool_calls, reasoning_content, name. An object; empty: none.
  nlohmann::ordered_json more = nlohmann::ordered_json::object();
};

struct ChatOptions {
  // Ends with the start of the assistant's answer.
  bool add_generation_prompt = true;
  // A list of JSON schemas; null: none.
  nlohmann::ordered_json tools = nullptr;
  nlohmann::ordered_json documents = nullptr;
  // An object of more variables: enable_thinking, date_string. They win over bos_token and the like.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  // For models with several templates; empty: "tool_use" with tools if there is one, or else "default".
  std::string name;
  // Seconds since 1970 for strftime_now; 0: the clock.
  std::int64_t now = 0;
};

// Immutable; render() may run in several threads at once. Cheap to copy: copies share.
class ChatTemplate {
 public:
  // Reads chat_template.jinja and additional_chat_templates/*.jinja, or else tokenizer_config.json's chat_template (a
  // text, or a list of names and texts), or else chat_template.json. Nothing where the folder has none: a base model.
  // A template that cannot be parsed is an Error (bad_file).
  static Result<std::optional<ChatTemplate>> of(const std::filesystem::path& folder);

  // One template from its text. special_tokens: the variables bos_token, eos_token and so on.
  static Result<ChatTemplate> from_text(std::string_view source,
                                        std::vector<std::pair<std::string, std::string>> special_tokens = {});

  // Fields that are null are left out, as transformers leaves them out. Errors: usage where the template refuses the
  // chat (its own message is the value) or a text is not UTF-8; bad_file where it fails, runs for more than 10 million
  // steps or writes more than 64 MiB.
  [[nodiscard]] Result<std::string> render(const std::vector<ChatMessage>& messages,
                                           const ChatOptions& options = {}) const;

  // The same for messages as JSON: a list of objects with role and content (a text, or a list of parts).
  [[nodiscard]] Result<std::string> render(const nlohmann::ordered_json& messages,
                                           const ChatOptions& options = {}) const;

  // The names of the templates; "default" where there is only one.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  using Compiled = std::shared_ptr<const PippinTemplate>;
  ChatTemplate() = default;
  Status add(const std::string& name, std::string_view source, std::string_view place);
  [[nodiscard]] Result<const PippinTemplate*> chosen(const ChatOptions& options) const;

  std::vector<std::pair<std::string, Compiled>> templates_;
  std::vector<std::pair<std::string, std::string>> special_tokens_;
};

}  // namespace pippin

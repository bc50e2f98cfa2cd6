#include "generate/prompt_tokens.h"

#include <fmt/format.h>

#include "source/json_text.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// The format of models that were trained on it without saying so (ChatML).
constexpr std::string_view default_template =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Marks where an answer goes on. Templates take it for ordinary text.
constexpr std::string_view end_mark = "[the answer goes on here]";

Result<Json> messages_of(const Prompt& prompt) {
  Json messages = Json::array();
  if (prompt.messages.empty()) {
    messages.push_back({{"role", "user"}, {"content", prompt.text}});
  } else {
    PIPPIN_TRY(messages, parse_json(prompt.messages, "messages"));
    if (!messages.is_array() || messages.empty())
      return fail(ErrorTag::usage, "messages are a list of objects with role and content", "");
  }
  for (const auto& message : messages) {
    if (!message.is_object() || !message.contains("role"))
      return fail(ErrorTag::usage, "messages are a list of objects with role and content", "");
  }
  if (prompt.system) messages.insert(messages.begin(), Json{{"role", "system"}, {"content", *prompt.system}});
  return messages;
}

Result<ChatOptions> chat_options(const Model::Parts& model, const Prompt& prompt) {
  ChatOptions options;
  if (model.tokenizer.has_thinking()) options.variables["enable_thinking"] = true;
  if (!prompt.template_variables.empty()) {
    PIPPIN_TRY(const Json given, parse_json(prompt.template_variables, "variables of the chat template"));
    if (!given.is_object())
      return fail(ErrorTag::usage, "variables of the chat template are a JSON object", prompt.template_variables);
    for (const auto& [name, value] : given.items()) options.variables[name] = value;
  }
  return options;
}

// The chat up to the end of a begun answer: whatever the template puts after an answer is cut off.
Result<std::string> render_begun(const ChatTemplate& chat_template, Json messages, ChatOptions options,
                                 const std::string& begun) {
  options.add_generation_prompt = false;
  messages.push_back({{"role", "assistant"}, {"content", begun + std::string(end_mark)}});
  PIPPIN_TRY(std::string text, chat_template.render(messages, options));
  const size_t end = text.rfind(end_mark);
  if (end == std::string::npos)
    return fail(ErrorTag::unsupported, "the chat template writes the answer that is to go on", "it left it out",
                "give the whole prompt as text, without the chat template");
  text.resize(end);
  return text;
}

}  // namespace

Result<PromptText> prompt_text(const Model::Parts& model, const Prompt& prompt) {
  std::optional<ChatTemplate> chat_template;
  if (prompt.use_template) chat_template = model.chat_template;
  if (prompt.use_template && !chat_template && (prompt.use_default_template || !prompt.messages.empty())) {
    if (!prompt.use_default_template)
      return fail(ErrorTag::usage, "a chat needs a chat template", "the model has none",
                  "give a text, or use the default chat template");
    PIPPIN_TRY(chat_template, ChatTemplate::from_text(default_template, model.tokenizer.special_tokens()));
  }
  if (!chat_template) return PromptText{prompt.text + prompt.prefill.value_or(""), false};
  PIPPIN_TRY(const Json messages, messages_of(prompt));
  PIPPIN_TRY(const ChatOptions options, chat_options(model, prompt));
  PromptText rendered{{}, true};
  if (prompt.prefill) {
    PIPPIN_TRY(rendered.text, render_begun(*chat_template, messages, options, *prompt.prefill));
  } else {
    PIPPIN_TRY(rendered.text, chat_template->render(messages, options));
  }
  return rendered;
}

Result<std::vector<int32_t>> prompt_tokens(const Model::Parts& model, const Prompt& prompt) {
  std::vector<int32_t> ids = prompt.ids;
  if (ids.empty()) {
    PIPPIN_TRY(const PromptText text, prompt_text(model, prompt));
    PIPPIN_TRY(ids, model.tokenizer.encode(text.text, !text.is_rendered));
  }
  if (ids.empty()) return fail(ErrorTag::usage, "a prompt has at least one token", "it is empty", "give some text");
  const int vocabulary = model.language.vocabulary_size();
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary)
      return fail(ErrorTag::usage, "token ids lie in the model's vocabulary",
                  fmt::format("{}, of {} tokens", id, vocabulary), "use the tokenizer that belongs to the model");
  }
  return ids;
}

}  // namespace pippin

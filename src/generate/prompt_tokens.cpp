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

// Marks a place in a chat. Templates take it for ordinary text, and some trim the space at its end.
constexpr std::string_view mark = "[this is the place] ";

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

tl::unexpected<Error> left_out() {
  return fail(ErrorTag::unsupported, "the chat template writes the messages as they are", "it left out the last one",
              "give the whole prompt as text, without the chat template");
}

// The content of a message, which must be a text.
Result<std::string> content_of(const Json& message) {
  const auto found = message.find("content");
  if (found != message.end() && found->is_string()) return found->get<std::string>();
  return fail(ErrorTag::usage, "a message that is cut has a text as content", "");
}

// The chat up to the end of its last message: whatever the template puts after it is cut off, with the spaces before
// where the template trims messages.
Result<std::string> render_open(const ChatTemplate& chat_template, Json messages, ChatOptions options) {
  options.add_generation_prompt = false;
  PIPPIN_TRY(const std::string content, content_of(messages.back()));
  messages.back()["content"] = content + std::string(mark);
  PIPPIN_TRY(std::string text, chat_template.render(messages, options));
  const size_t end = text.rfind(mark.substr(0, mark.size() - 1));
  if (end == std::string::npos) return left_out();
  const bool trimmed = text.compare(end, mark.size(), mark) != 0;
  text.resize(end);
  if (trimmed) text.resize(text.find_last_not_of(" \t\n\r\f\v") + 1);
  return text;
}

// How much of a rendered chat comes before its last message's content.
Result<size_t> length_before_last(const ChatTemplate& chat_template, Json messages, const ChatOptions& options,
                                  const std::string& rendered) {
  messages.back()["content"] = std::string(mark.substr(0, mark.size() - 1));
  PIPPIN_TRY(const std::string marked, chat_template.render(messages, options));
  const size_t at = marked.find(mark.substr(0, mark.size() - 1));
  if (at == std::string::npos || rendered.compare(0, at, marked, 0, at) != 0) return left_out();
  return at;
}

Result<std::string> render_chat(const ChatTemplate& chat_template, const Prompt& prompt, const Json& messages,
                                const ChatOptions& options) {
  if (prompt.part == PromptPart::opening) return render_open(chat_template, messages, options);
  Json all = messages;
  if (prompt.prefill) all.push_back({{"role", "assistant"}, {"content", *prompt.prefill}});
  PIPPIN_TRY(std::string text,
             prompt.prefill ? render_open(chat_template, all, options) : chat_template.render(all, options));
  if (prompt.part == PromptPart::whole) return text;
  PIPPIN_TRY(const size_t before, length_before_last(chat_template, messages, options, text));
  return text.substr(before);
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
  if (!chat_template && !prompt.messages.empty())
    return fail(ErrorTag::usage, "messages need a chat template", "it was turned off", "give a text instead");
  if (!chat_template) return PromptText{prompt.text + prompt.prefill.value_or(""), false};
  PIPPIN_TRY(const Json messages, messages_of(prompt));
  PIPPIN_TRY(const ChatOptions options, chat_options(model, prompt));
  PIPPIN_TRY(std::string rendered, render_chat(*chat_template, prompt, messages, options));
  return PromptText{std::move(rendered), true};
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

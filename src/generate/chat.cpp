#include "pippin/chat.h"

#include <utility>

#include "generate/answer.h"
#include "generate/prompt_tokens.h"

namespace pippin {

using Json = nlohmann::ordered_json;

struct Chat::State {
  const Model* model;
  ChatSettings settings;
  Json messages;
  Contexts contexts;
};

namespace {

Json first_messages(const ChatSettings& settings) {
  Json messages = Json::array();
  if (settings.system) messages.push_back({{"role", "system"}, {"content", *settings.system}});
  return messages;
}

std::string text_of(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Chat::Chat(std::unique_ptr<State> state) : state_(std::move(state)) {}
Chat::Chat(Chat&&) noexcept = default;
Chat& Chat::operator=(Chat&&) noexcept = default;
Chat::~Chat() = default;

Result<Chat> Chat::start(const Model& model, ChatSettings settings) {
  PIPPIN_CHECK(check_options(model.parts(), settings.options));
  if (!model.has_chat_template() && !settings.use_default_template) {
    return fail(ErrorTag::usage, "a chat needs a chat template", "the model has none",
                "use a model that was trained to chat, or --use-default-chat-template");
  }
  Json messages = first_messages(settings);
  PIPPIN_TRY(Contexts contexts, make_contexts(model.parts(), settings.options));
  return Chat(std::make_unique<State>(State{&model, std::move(settings), std::move(messages), std::move(contexts)}));
}

Result<Generation> Chat::say(const std::string& message, const OnSegment& on_segment) {
  State& s = *state_;
  const Model::Parts& parts = s.model->parts();
  Json asked = s.messages;
  asked.push_back({{"role", "user"}, {"content", message}});
  Prompt prompt;
  prompt.messages = text_of(asked, -1);
  prompt.use_default_template = s.settings.use_default_template;
  prompt.template_variables = s.settings.template_variables;
  PIPPIN_TRY(const std::vector<int32_t> ids, prompt_tokens(parts, prompt));
  // At least one token is read anew: its logits choose the answer's first.
  TokenContext& context = s.contexts.model;
  const size_t known = std::min(common_prefix(context.tokens(), ids), ids.size() - 1);
  PIPPIN_CHECK(context.shorten(known));
  const std::span<const int32_t> unread = std::span(ids).subspan(context.tokens().size());
  auto result = answer(parts, s.contexts, unread, s.settings.options, on_segment);
  if (!result) return result;
  asked.push_back({{"role", "assistant"}, {"content", result->text}});
  s.messages = std::move(asked);
  return result;
}

void Chat::reset() {
  State& s = *state_;
  s.messages = first_messages(s.settings);
  s.contexts.model = TokenContext(s.model->parts().language, s.settings.options);
  if (s.contexts.draft) s.contexts.draft.emplace(s.settings.options.draft->parts().language, s.settings.options);
}

std::string Chat::history() const {
  return text_of(state_->messages, 2);
}

}  // namespace pippin

#include "pippin/chat.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "generate/example_model.h"

namespace pippin {
namespace {

Chat started(ChatSettings settings = {}) {
  if (settings.options.max_tokens == 100) settings.options.max_tokens = 12;
  auto chat = Chat::start(example_model(), std::move(settings));
  if (!chat) throw std::runtime_error(chat.error().message());
  return std::move(*chat);
}

Generation said(Chat& chat, const std::string& message) {
  auto result = chat.say(message, {});
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

// The answer to a whole conversation, read at once.
std::vector<int32_t> answer_to(const nlohmann::ordered_json& messages) {
  Prompt prompt;
  prompt.messages = messages.dump();
  const auto result = generate(example_model(), prompt, up_to(12));
  if (!result) throw std::runtime_error(result.error().message());
  return result->ids;
}

TEST(Chats, ReadOnlyWhatIsNew) {
  Chat chat = started();
  const auto first = said(chat, "In the beginning");
  const auto second = said(chat, "And then?");
  EXPECT_EQ(first.cached_tokens, 0);
  EXPECT_GE(second.cached_tokens, first.prompt_tokens + first.generated_tokens - 1);
  EXPECT_LT(second.prompt_tokens, first.prompt_tokens + first.generated_tokens);
  EXPECT_EQ(second.ids, answer_to({{{"role", "user"}, {"content", "In the beginning"}},
                                   {{"role", "assistant"}, {"content", first.text}},
                                   {{"role", "user"}, {"content", "And then?"}}}));
}

TEST(Chats, BeginAnew) {
  Chat chat = started();
  const auto first = said(chat, "In the beginning");
  said(chat, "And then?");
  chat.reset();
  const auto again = said(chat, "In the beginning");
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(again.cached_tokens, 0);
}

TEST(Chats, TellWhatWasSaid) {
  ChatSettings settings;
  settings.system = "Speak.";
  Chat chat = started(settings);
  const auto answer = said(chat, "In the beginning");
  EXPECT_EQ(nlohmann::ordered_json::parse(chat.history()),
            (nlohmann::ordered_json{{{"role", "system"}, {"content", "Speak."}},
                                    {{"role", "user"}, {"content", "In the beginning"}},
                                    {{"role", "assistant"}, {"content", answer.text}}}));
}

TEST(Chats, GoOnAfterAnAnswerWasStopped) {
  std::atomic<bool> cancelled{false};
  ChatSettings settings;
  settings.options.cancelled = &cancelled;
  Chat chat = started(settings);
  int pieces = 0;
  const auto stopped = chat.say("In the beginning", [&](const Segment&) {
    cancelled = ++pieces == 3;
    return true;
  });
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->finish, FinishReason::cancelled);
  cancelled = false;
  const auto next = said(chat, "And then?");
  EXPECT_GT(next.cached_tokens, 0);
  EXPECT_EQ(next.ids, answer_to({{{"role", "user"}, {"content", "In the beginning"}},
                                 {{"role", "assistant"}, {"content", stopped->text}},
                                 {{"role", "user"}, {"content", "And then?"}}}));
}

TEST(Chats, AreAsBeforeAfterAnError) {
  Chat chat = started();
  said(chat, "In the beginning");
  const std::string before = chat.history();
  std::string long_text;
  for (int k = 0; k < 600; ++k) long_text += " and";
  const auto refused = chat.say(long_text, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "a prompt fits into the model's context");
  EXPECT_EQ(chat.history(), before);
  EXPECT_GT(said(chat, "And then?").cached_tokens, 0);
}

TEST(Chats, WithADraftModel) {
  Chat without = started();
  ChatSettings settings;
  settings.options.draft = &example_model();
  Chat with = started(settings);
  for (const char* message : {"In the beginning", "And then?", "And God said"}) {
    const auto expected = said(without, message);
    const auto found = said(with, message);
    EXPECT_EQ(found.ids, expected.ids) << message;
    EXPECT_EQ(found.cached_tokens, expected.cached_tokens) << message;
    EXPECT_GT(found.accepted_tokens, 0);
  }
}

TEST(Chats, NeedATemplate) {
  const ExampleCopy copy;
  copy.write("tokenizer_config.json", "{}");
  const auto model = load(copy.path());
  ASSERT_TRUE(model) << model.error().message();
  const auto chat = Chat::start(*model, {});
  ASSERT_FALSE(chat);
  EXPECT_EQ(chat.error().rule, "a chat needs a chat template");
}

}  // namespace
}  // namespace pippin

#include "text/chat_template.h"

#include <gmock/gmock.h>

#include "text/tokenizer_folder.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

const std::vector<ChatMessage> hello = {{"user", "Hello"}};

std::string rendered(const std::string& source, const std::vector<ChatMessage>& messages = hello,
                     const ChatOptions& options = {}) {
  const auto chat = ChatTemplate::from_text(source, {{"bos_token", "<s>"}});
  if (!chat) return "parse: " + chat.error().value;
  const auto text = chat->render(messages, options);
  return text ? *text : "render: " + text.error().value;
}

ErrorTag tag_of(const std::string& source, const std::vector<ChatMessage>& messages = hello) {
  const auto chat = ChatTemplate::from_text(source);
  if (!chat) return chat.error().tag;
  const auto text = chat->render(messages);
  EXPECT_FALSE(text);
  return text ? ErrorTag::io : text.error().tag;
}

TEST(ChatTemplate, BundledExample) {
  const auto chat = ChatTemplate::of(PIPPIN_SOURCE_DIR "/examples/kjv-tiny");
  ASSERT_TRUE(chat) << chat.error().message();
  ASSERT_TRUE(*chat);
  EXPECT_EQ(*(*chat)->render(hello), "<|begin_of_text|><|user|>Hello<|end|><|assistant|>");
  ChatOptions options;
  options.add_generation_prompt = false;
  EXPECT_EQ(*(*chat)->render(hello, options), "<|begin_of_text|><|user|>Hello<|end|>");
}

TEST(ChatTemplate, PythonExpressions) {
  const std::pair<const char*, const char*> cases[] = {
      {"{{ bos_token + messages[0].content }}", "<s>Hello"},
      {"{{ ' a b '.strip().split(' ')[-1] }}", "b"},
      {"{{ '\x1c a'.strip() }}", "a"},
      {"{{ 'a,b,c'.rsplit(',', 1) }}", "['a,b', 'c']"},
      {"{{ 'x' if messages[-1].role.startswith('us') else 'y' }}", "x"},
      {"{{ messages[0].items() | list }}", "[('role', 'user'), ('content', 'Hello')]"},
      {"{{ messages[0].get('name', 'nobody') }}", "nobody"},
      {"{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] %}{% if i == 3 %}{% break %}{% endif %}{% set ns.n = ns.n + "
       "i %}{% endfor %}{{ ns.n }}",
       "3"},
      {"{{ messages[::-1][0]['content'][1:3] }}", "el"},
      {"{{ tools is none }} {{ none }} {{ true }} {{ unknown is defined }}", "True None True False"},
      {"{%- generation %}x{% endgeneration -%} y", "xy"},
      {"{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}\n", "user\n"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(rendered(source), expected) << source;
}

TEST(ChatTemplate, JsonAsPythonWritesIt) {
  ChatOptions options;
  options.variables = {{"x", {{"b", 1.0}, {"a", {1, nullptr, true, "é<\"\n"}}, {"e", Json::object()}}}};
  EXPECT_EQ(rendered("{{ x | tojson }}", hello, options), R"({"b": 1.0, "a": [1, null, true, "é<\"\n"], "e": {}})");
  EXPECT_EQ(rendered("{{ x.a | tojson(indent=2) }}", hello, options), "[\n  1,\n  null,\n  true,\n  \"é<\\\"\\n\"\n]");
  EXPECT_EQ(rendered("{{ x.a | tojson(ensure_ascii=True) }}", hello, options), R"([1, null, true, "\u00e9<\"\n"])");
  EXPECT_EQ(rendered("{{ x | tojson(sort_keys=True, separators=(',', ':')) }}", hello, options),
            R"({"a":[1,null,true,"é<\"\n"],"b":1.0,"e":{}})");
}

TEST(ChatTemplate, DatesFromAGivenTime) {
  ChatOptions options;
  options.now = 1'700'000'000;
  EXPECT_EQ(rendered("{{ strftime_now('%Y') }}", hello, options), "2023");
}

TEST(ChatTemplate, MessagesWithMore) {
  const std::vector<ChatMessage> messages = {{"assistant", "", {{"reasoning", "r"}, {"name", nullptr}}}};
  EXPECT_EQ(rendered("{{ messages[0].reasoning_content }}{{ messages[0].name is defined }}", messages), "rFalse");
}

TEST(ChatTemplate, ErrorsOfTheTemplate) {
  EXPECT_EQ(rendered("{{ raise_exception('roles must alternate') }}"),
            "render: the chat template: roles must alternate");
  EXPECT_EQ(tag_of("{{ raise_exception('no') }}"), ErrorTag::usage);
  EXPECT_EQ(tag_of("{% if %}"), ErrorTag::bad_file);
  EXPECT_EQ(tag_of("{{ messages.nope.nope }}"), ErrorTag::bad_file);
  EXPECT_EQ(tag_of("{% include 'other' %}"), ErrorTag::bad_file);
  EXPECT_EQ(tag_of("{{ 1 // 0 }}"), ErrorTag::bad_file);
}

TEST(ChatTemplate, TemplatesThatNeverEnd) {
  const char* const loop =
      "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor "
      "%}";
  EXPECT_EQ(tag_of(loop), ErrorTag::bad_file);
  EXPECT_EQ(tag_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), ErrorTag::bad_file);
  EXPECT_EQ(tag_of("{% for a in range(90000) %}{{ 'x' * 1000 }}{% endfor %}"), ErrorTag::bad_file);
}

TEST(ChatTemplate, TemplatesThatTakeAllMemory) {
  const char* const doubled =
      "{% set n = namespace(x='x') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
  EXPECT_THAT(rendered(doubled), HasSubstr("memory"));
  EXPECT_EQ(rendered("still well"), "still well");
}

TEST(ChatTemplate, InputsThatCannotBe) {
  EXPECT_EQ(tag_of("x", {}), ErrorTag::usage);
  EXPECT_EQ(tag_of("x", {{"user", "\xff"}}), ErrorTag::usage);
}

TEST(ChatTemplate, WhereTemplatesStand) {
  TokenizerFolder folder;
  EXPECT_FALSE(ChatTemplate::of(folder.path())->has_value());
  folder.with("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(*(*ChatTemplate::of(folder.path()))->render(hello), "json");
  folder.with("tokenizer_config.json", R"({"chat_template": "config{{ eos_token }}", "eos_token": "</s>"})");
  EXPECT_EQ(*(*ChatTemplate::of(folder.path()))->render(hello), "config</s>");
  folder.with("chat_template.jinja", "jinja");
  EXPECT_EQ(*(*ChatTemplate::of(folder.path()))->render(hello), "jinja");
}

TEST(ChatTemplate, SeveralTemplates) {
  TokenizerFolder folder;
  folder.with("tokenizer_config.json",
              R"({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
      {"name": "rag", "template": "rag"}]})");
  const auto chat = ChatTemplate::of(folder.path());
  ASSERT_TRUE(chat && *chat);
  EXPECT_THAT((*chat)->names(), ElementsAre("default", "tool_use", "rag"));
  ChatOptions options;
  EXPECT_EQ(*(*chat)->render(hello, options), "plain");
  options.tools = Json::array({Json::object()});
  EXPECT_EQ(*(*chat)->render(hello, options), "tools");
  options.name = "rag";
  EXPECT_EQ(*(*chat)->render(hello, options), "rag");
  options.name = "nope";
  EXPECT_EQ((*chat)->render(hello, options).error().tag, ErrorTag::usage);
}

TEST(ChatTemplate, BrokenFiles) {
  for (const char* json :
       {R"({"chat_template": 3})", R"({"chat_template": [{"name": "default"}]})", R"({"chat_template": "{{"})"}) {
    TokenizerFolder folder;
    EXPECT_EQ(ChatTemplate::of(folder.with("tokenizer_config.json", json).path()).error().tag, ErrorTag::bad_file)
        << json;
  }
}

}  // namespace
}  // namespace pippin

#include "text/chat_template.h"

#include <algorithm>

#include "source/quoted_text.h"
#include "text/engine_call.h"
#include "text/piece_file.h"
#include "text/template_files.h"
#include "text/token_settings.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr PippinTextLimits limits{10'000'000, std::size_t{64} << 20, 0};

Result<std::string> dumped(const Json& json) {
  try {
    return json.dump();
  } catch (const Json::exception&) {
    return fail(ErrorTag::usage, "text is UTF-8", "a message or variable of the chat has other bytes",
                "give valid text");
  }
}

Json without_nulls(const Json& message) {
  Json kept = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) kept[key] = value;
  return kept;
}

// Templates read a message's reasoning under one of several names; transformers fills the names that are missing.
void alias_reasoning(Json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!message.contains(name)) continue;
    const Json reasoning = message[name];
    if (!message.contains("thinking")) message["thinking"] = reasoning;
    message["reasoning_content"] = reasoning;
    return;
  }
}

Result<Json> prepared(const Json& messages) {
  if (!messages.is_array() || messages.empty())
    return fail(ErrorTag::usage, "a chat is a list of at least one message",
                messages.is_array() ? "an empty list" : "no list");
  Json list = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object())
      return fail(ErrorTag::usage, "a message is an object with role and content", message.type_name());
    list.push_back(without_nulls(message));
    alias_reasoning(list.back());
  }
  return list;
}

}  // namespace

Result<std::optional<ChatTemplate>> ChatTemplate::of(const std::filesystem::path& folder) {
  PIPPIN_TRY(TokenSettings settings, read_token_settings(folder));
  PIPPIN_TRY(const std::vector<TemplateFile> files, find_templates(folder, settings.config));
  if (files.empty()) return std::nullopt;
  // Adds the special tokens of the class and of the model. What is wrong there, Tokenizer::open says.
  if (has_piece_file(folder)) static_cast<void>(read_piece_file(folder, settings));
  ChatTemplate all;
  all.special_tokens_ = std::move(settings.named);
  for (const TemplateFile& file : files) PIPPIN_CHECK(all.add(file.name, file.source, file.place));
  return all;
}

Result<ChatTemplate> ChatTemplate::from_text(std::string_view source,
                                             std::vector<std::pair<std::string, std::string>> special_tokens) {
  ChatTemplate one;
  one.special_tokens_ = std::move(special_tokens);
  PIPPIN_CHECK(one.add("default", source, "the chat template"));
  return one;
}

Status ChatTemplate::add(const std::string& name, std::string_view source, std::string_view place) {
  const PippinTemplate* compiled = nullptr;
  PippinTextBytes message{};
  const PippinTextStatus status = pippin_template_open(bytes_of(source), source.size(), &compiled, &message);
  if (status != pippin_text_fine) {
    Error error = error_of(status, message, place);
    error.tag = ErrorTag::bad_file;
    return tl::unexpected<Error>(std::move(error));
  }
  templates_.emplace_back(name, Compiled(compiled, pippin_template_close));
  return {};
}

Result<const PippinTemplate*> ChatTemplate::chosen(const ChatOptions& options) const {
  const auto find = [&](std::string_view name) {
    return std::find_if(templates_.begin(), templates_.end(), [&](const auto& pair) { return pair.first == name; });
  };
  auto found = templates_.end();
  if (!options.name.empty()) {
    found = find(options.name);
  } else {
    if (!options.tools.is_null()) found = find("tool_use");
    if (found == templates_.end()) found = find("default");
  }
  if (found == templates_.end())
    return fail(ErrorTag::usage, "the model has a chat template of this name",
                in_quotes(options.name.empty() ? "default" : options.name), "choose one of these", names());
  return found->second.get();
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage>& messages, const ChatOptions& options) const {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    Json fields{{"role", message.role}, {"content", message.content}};
    fields.update(message.more);
    list.push_back(std::move(fields));
  }
  return render(list, options);
}

Result<std::string> ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  PIPPIN_TRY(const PippinTemplate* compiled, chosen(options));
  PIPPIN_TRY(Json list, prepared(messages));
  Json variables = Json::object();
  for (const auto& [name, content] : special_tokens_) variables[name] = content;
  variables.update(options.variables);
  variables["messages"] = std::move(list);
  variables["tools"] = options.tools;
  variables["documents"] = options.documents;
  variables["add_generation_prompt"] = options.add_generation_prompt;
  PIPPIN_TRY(const std::string text, dumped(variables));
  PippinTextLimits bounds = limits;
  bounds.now = options.now;
  return bytes_from("the chat template", [&](PippinTextBytes* out, PippinTextBytes* message) {
    return pippin_template_render(compiled, bytes_of(text), text.size(), bounds, out, message);
  });
}

std::vector<std::string> ChatTemplate::names() const {
  std::vector<std::string> found;
  for (const auto& pair : templates_) found.push_back(pair.first);
  return found;
}

}  // namespace pippin

// A conversation with a model. What was said stays in the keys and values: each turn reads only what is new.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "pippin/error.h"
#include "pippin/generate.h"

namespace pippin {

struct ChatSettings {
  std::optional<std::string> system;
  bool use_default_template = false;  // ChatML where the model has no template
  std::string template_variables;     // a JSON object
  GenerateOptions options;            // max_tokens is of each answer
};

// Used by one thread at a time; the model must outlive it.
class Chat {
 public:
  // Errors (usage): options that make no sense, a model without a chat template.
  static Result<Chat> start(const Model& model, ChatSettings settings);

  Chat(Chat&&) noexcept;
  Chat& operator=(Chat&&) noexcept;
  ~Chat();

  // An answer that was cancelled stays as far as it came. After an error the conversation is as before.
  // Where the template renders the past otherwise than it was read (it leaves out earlier thoughts, say), the keys and
  // values are kept as far as both agree.
  Result<Generation> say(const std::string& message, const OnSegment& on_segment);

  // Forgets all but the system message.
  void reset();

  // A JSON list of objects with role and content, indented.
  [[nodiscard]] std::string history() const;

 private:
  struct State;
  explicit Chat(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pippin

// Lines from the user: edited on a terminal, plain elsewhere.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace pippin::cli {

// One a process.
class LineInput {
 public:
  LineInput();
  LineInput(const LineInput&) = delete;
  LineInput& operator=(const LineInput&) = delete;
  ~LineInput();  // restores the terminal

  // Without its line end; nothing at the end of the input. Ctrl-C gives up a line: it is empty then.
  std::optional<std::string> next();
  [[nodiscard]] bool is_interactive() const { return editor_ != nullptr; }

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;
};

}  // namespace pippin::cli

#include "cli/runtime/line_input.h"

#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cwchar>
#include <iostream>

#include <histedit.h>

namespace pippin::cli {
namespace {

// libedit wants functions of C, and texts that may be changed.
char* prompt_text(EditLine* /*editor*/) {
  static char text[] = "> ";
  return text;
}

// libedit gives its functions nothing of ours.
bool given_up = false;

unsigned char give_up_line(EditLine* /*editor*/, wint_t /*key*/) {
  given_up = true;
  std::fputs("^C\n", stderr);
  return CC_NEWLINE;
}

}  // namespace

struct LineInput::Editor {
  struct End {
    void operator()(EditLine* it) const { el_end(it); }
    void operator()(History* it) const { history_end(it); }
  };
  std::unique_ptr<History, End> history{history_init()};
  std::unique_ptr<EditLine, End> editor{el_init("pippin", stdin, stderr, stderr)};

  Editor() {
    HistEvent event;
    ::history(history.get(), &event, H_SETSIZE, 1000);
    EditLine* e = editor.get();
    el_set(e, EL_PROMPT, &prompt_text);
    el_set(e, EL_EDITOR, "emacs");
    el_set(e, EL_HIST, ::history, history.get());
    // Signals that end the program restore the terminal first. Ctrl-C is a key while a line is edited.
    el_set(e, EL_SIGNAL, 1);
    el_set(e, EL_SETTY, "-d", "-isig", nullptr);
    // By wide names: libedit never frees the copies that it makes of others.
    el_wset(e, EL_ADDFN, L"give-up-line", L"Begin the line anew", &give_up_line);
    el_set(e, EL_BIND, "^C", "give-up-line", nullptr);
    el_set(e, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
};

LineInput::LineInput() {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) return;
  // Letters of several bytes are one letter to the editor.
  if (std::setlocale(LC_CTYPE, "") == nullptr || std::string_view(std::setlocale(LC_CTYPE, nullptr)) == "C")
    std::setlocale(LC_CTYPE, "C.UTF-8");
  editor_ = std::make_unique<Editor>();
  if (!editor_->editor || !editor_->history) editor_.reset();
}

LineInput::~LineInput() = default;

std::optional<std::string> LineInput::next() {
  std::string line;
  if (editor_) {
    int count = 0;
    given_up = false;
    // Before the prompt: whoever sees it may type Ctrl-C at once.
    el_set(editor_->editor.get(), EL_PREP_TERM, 1);
    const char* text = el_gets(editor_->editor.get(), &count);
    if (given_up) return line;
    if (text == nullptr || count <= 0) return std::nullopt;
    line = text;
    HistEvent event;
    if (line.size() > 1) ::history(editor_->history.get(), &event, H_ENTER, text);
  } else if (!std::getline(std::cin, line)) {
    return std::nullopt;
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  return line;
}

}  // namespace pippin::cli

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "cli/runtime/generation_report.h"
#include "cli/runtime/line_input.h"
#include "cli/runtime/runs.h"
#include "cli/terminal.h"
#include "pippin/chat.h"

namespace pippin::cli {
namespace {

constexpr const char* help_text =
    "/reset, r   forget what was said\n"
    "/save FILE  write the conversation as JSON\n"
    "/help, h    this list\n"
    "/quit, q    leave; so does Ctrl-D\n"
    "Ctrl-C ends an answer. A line with a space before it is never a command.\n";

std::atomic<bool> answering{false};
std::atomic<bool> at_terminal{false};
std::atomic<bool> stop_answer{false};

// At a terminal it may come when the answer has just ended: the chat stays.
void on_interrupt(int number) {
  if (answering || at_terminal) {
    stop_answer = true;
    return;
  }
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// While it lives, Ctrl-C ends the answer instead of the program.
class AnswerStop {
 public:
  AnswerStop() {
    stop_answer = false;
    answering = true;
  }
  AnswerStop(const AnswerStop&) = delete;
  AnswerStop& operator=(const AnswerStop&) = delete;
  ~AnswerStop() { answering = false; }
};

Status save(const Chat& chat, const std::string& path) {
  if (path.empty()) return fail(ErrorTag::usage, "a file is named", "none was", "/save FILE");
  std::ofstream file(path, std::ios::binary);
  file << chat.history() << '\n';
  file.close();
  if (file) return {};
  return fail(ErrorTag::destination, "the conversation can be written", path, "/save FILE");
}

enum class Command : uint8_t { none, quit, reset, save, help, unknown };

Command command_of(const std::string& line) {
  if (line == "q" || line == "/quit" || line == "/exit") return Command::quit;
  if (line == "r" || line == "/reset") return Command::reset;
  if (line == "h" || line == "/help") return Command::help;
  if (line == "/save" || line.starts_with("/save ")) return Command::save;
  return line.starts_with("/") ? Command::unknown : Command::none;
}

Status obey(Command command, const std::string& line, Chat& chat, const Common& common) {
  switch (command) {
    case Command::reset:
      chat.reset();
      if (!common.quiet) fmt::print(stderr, "Forgotten.\n");
      break;
    case Command::save: {
      const std::string path = line.size() > 6 ? line.substr(6) : "";
      PIPPIN_CHECK(save(chat, path));
      if (!common.quiet) fmt::print(stderr, "Written: {}\n", path);
      break;
    }
    case Command::unknown:
      return fail(ErrorTag::usage, "a line that begins with / is a command", line, "/help lists them");
    default:
      fmt::print(stderr, "{}", help_text);
  }
  return {};
}

Status say(Chat& chat, const std::string& line, const Common& common) {
  const AnswerStop stop;
  PIPPIN_TRY(const Generation result, chat.say(line, shown(common)));
  fmt::print("{}\n", common.json ? json_text(result, -1) : "");
  std::fflush(stdout);
  if (common.json || common.quiet) return {};
  if (result.finish == FinishReason::context) fmt::print(stderr, "The model's context is full; /reset begins anew.\n");
  fmt::print(stderr, "[{} tokens read, {} remembered; {} generated, {:.1f} tokens-per-sec]\n", result.prompt_tokens,
             result.cached_tokens, result.generated_tokens, result.generation_speed());
  return {};
}

}  // namespace

Result<int> run_chat(ChatArguments& a, const Common& common) {
  PIPPIN_TRY(const Model model, load_model(a.model, common));
  PIPPIN_TRY(const std::optional<Model> draft, load_draft(a.draft_model, a.model, common));
  if (draft) a.settings.options.draft = &*draft;
  a.settings.options.cancelled = &stop_answer;
  PIPPIN_TRY(Chat chat, Chat::start(model, a.settings));
  std::signal(SIGINT, on_interrupt);
  LineInput input;
  at_terminal = input.is_interactive();
  if (input.is_interactive() && !common.quiet) fmt::print(stderr, "/help lists the commands.\n");
  while (const std::optional<std::string> line = input.next()) {
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    const Command command = command_of(*line);
    if (command == Command::quit) break;
    const Status done = command == Command::none ? say(chat, *line, common) : obey(command, *line, chat, common);
    if (done) continue;
    // Whoever types can go on; a script is told by the exit status.
    if (!input.is_interactive()) return tl::unexpected<Error>(done.error());
    fmt::print(stderr, "{} {}\n", red("error:", Stream::error), done.error().message());
  }
  return 0;
}

}  // namespace pippin::cli

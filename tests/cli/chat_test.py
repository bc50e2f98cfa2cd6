"""pippin chat, from a pipe and on a pseudo terminal.

    python3 tests/cli/chat_test.py PIPPIN
"""

import json
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "kjv-tiny"
PIPPIN = ""
ENDLESS = ["-m", "-1", "--no-context-limit", "--logit-bias", "1=-1000", "--logit-bias", "5=-1000"]


def piped(text, *flags):
    return subprocess.run([PIPPIN, "chat", str(EXAMPLE), "-m", "12", *flags], input=text, capture_output=True, text=True)


class FromAPipe(unittest.TestCase):
    def test_an_answer_a_line_and_nothing_else(self):
        result = piped("In the beginning\n\nAnd then?\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 2)
        self.assertNotIn("> ", result.stdout + result.stderr)
        turns = re.findall(r"\[(\d+) tokens read, (\d+) remembered; (\d+) generated", result.stderr)
        first, second = ([int(x) for x in turn] for turn in turns)
        self.assertEqual(first[1], 0)
        self.assertGreaterEqual(second[1], first[0] + first[2] - 1)
        self.assertLess(second[0], first[0] + first[2])

    def test_commands(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "chat.json")
            result = piped(f"In the beginning\n/save {file}\nr\nIn the beginning\nh\nq\nnever said\n", "--system-prompt", "Speak.")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("/reset", result.stderr)
            answers = result.stdout.splitlines()
            self.assertEqual(len(answers), 2)
            self.assertEqual(answers[0], answers[1])
            self.assertEqual([m["role"] for m in json.loads(file.read_text())], ["system", "user", "assistant"])

    def test_a_space_makes_it_a_message(self):
        self.assertEqual(len(piped(" q\n").stdout.splitlines()), 1)

    def test_json(self):
        answers = [json.loads(line) for line in piped("In the beginning\nAnd then?\n", "--json").stdout.splitlines()]
        self.assertEqual([a["generated_tokens"] for a in answers], [12, 12])

    def test_errors_end_a_script(self):
        self.assertEqual(piped("/unknown\n").returncode, 2)
        self.assertEqual(piped("/save\n").returncode, 2)
        self.assertEqual(piped("In the beginning\n/save /nonexistent/folder/file\n").returncode, 10)
        self.assertEqual(piped("and " * 600 + "\n").returncode, 2)

    def test_a_draft_model_changes_no_answer(self):
        text = "In the beginning\nAnd then?\n"
        self.assertEqual(piped(text, "--draft-model", EXAMPLE).stdout, piped(text).stdout)


class Terminal:
    """A chat on a pseudo terminal."""

    def __init__(self, *flags):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen([PIPPIN, "chat", str(EXAMPLE), *flags], stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True, preexec_fn=self.take_terminal,
                                        env=os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8"})
        self.seen = ""

    @staticmethod
    def take_terminal():
        import fcntl

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, text):
        os.write(self.ours, text.encode())

    def wait_for(self, pattern, seconds=60):
        """All that was shown up to the pattern; what comes after it is kept."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen, re.S)
            if found:
                text, self.seen = self.seen[:found.end()], self.seen[found.end():]
                return text
            if time.monotonic() > end:
                self.process.kill()
                raise AssertionError(f"{pattern!r} never came: {self.seen[-300:]!r}")
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 4096).decode(errors="replace")

    def finish(self):
        status = self.process.wait(60)
        after = termios.tcgetattr(self.theirs)
        os.close(self.ours)
        os.close(self.theirs)
        return status, after


class OnATerminal(unittest.TestCase):
    def test_ctrl_c_stops_the_answer_and_ctrl_d_ends_the_chat(self):
        chat = Terminal(*ENDLESS)
        chat.wait_for("> ")
        chat.type("In the beginning\n")
        chat.wait_for("the LORD")
        chat.type("\x03")
        chat.wait_for(r"generated.*\].*> ")
        # At the prompt it gives up the line.
        chat.type("something else\x03")
        chat.wait_for(r"> ")
        chat.type("\x04")
        status, after = chat.finish()
        self.assertEqual(status, 0)
        self.assertEqual(after, chat.before)

    def test_lines_are_edited_and_remembered(self):
        chat = Terminal("-m", "8")
        chat.wait_for("> ")
        chat.type("/hexx\x7f\x7flp\n")
        chat.wait_for("/save FILE")
        chat.wait_for("> ")
        # The arrow up brings the line back.
        chat.type("\x1b[A\n")
        chat.wait_for("/save FILE")
        chat.wait_for("> ")
        chat.type("Grüße\n")
        chat.wait_for(r"generated.*\].*> ")
        chat.type("/nothing\n")
        chat.wait_for("/help lists them")
        chat.wait_for("> ")
        chat.type("/quit\n")
        status, after = chat.finish()
        self.assertEqual(status, 0)
        self.assertEqual(after, chat.before)

    def test_a_signal_restores_the_terminal(self):
        chat = Terminal()
        chat.wait_for("> ")
        chat.process.terminate()
        status, after = chat.finish()
        self.assertEqual(status, -15)
        self.assertEqual(after, chat.before)


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()

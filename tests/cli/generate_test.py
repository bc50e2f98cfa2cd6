"""The commands that run models, as a user meets them.

    python3 tests/cli/generate_test.py PIPPIN
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "kjv-tiny"
PIPPIN = ""
GENESIS = ["--ignore-chat-template", "--prompt", "In the beginning God"]


def pippin(*arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([PIPPIN, *map(str, arguments)], capture_output=True, text=True, **options)


class Generate(unittest.TestCase):
    def test_text_goes_to_standard_output_and_speeds_to_standard_error(self):
        result = pippin("generate", EXAMPLE, *GENESIS, "-m", 9)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, " created the heaven and the earth.\n")
        self.assertRegex(result.stderr, r"Prompt: 6 tokens, .*\nGeneration: 9 tokens, .*\nPeak memory: ")

    def test_quiet_and_verbose_false(self):
        for flags in (["--quiet"], ["--verbose", "False"]):
            self.assertEqual(pippin("generate", "--model", EXAMPLE, *GENESIS, "-m", 2, *flags).stderr, "")

    def test_json(self):
        answer = json.loads(pippin("generate", EXAMPLE, *GENESIS, "-m", 9, "--json").stdout)
        self.assertEqual(answer["text"], " created the heaven and the earth.")
        self.assertEqual((len(answer["ids"]), answer["finish_reason"]), (9, "length"))

    def test_prompt_from_standard_input(self):
        result = subprocess.run([PIPPIN, "generate", EXAMPLE, "--ignore-chat-template", "--prompt", "-", "-m", "3"],
                                input="In the beginning God", capture_output=True, text=True)
        self.assertTrue(result.stdout.startswith(" created"), result.stderr)

    def test_stop_text(self):
        result = pippin("generate", EXAMPLE, *GENESIS, "--stop", "heaven and", "--quiet")
        self.assertEqual(result.stdout, " created the \n")

    def test_what_is_wrong_is_told(self):
        self.assertEqual(pippin("generate", EXAMPLE).returncode, 2)
        self.assertEqual(pippin("generate").returncode, 2)
        self.assertEqual(pippin("generate", EXAMPLE, *GENESIS, "--top-p", 7).returncode, 2)
        self.assertEqual(pippin("generate", "/nonexistent/model", *GENESIS).returncode, 3)
        self.assertEqual(pippin("generate", EXAMPLE, "--ignore-chat-template", "--prompt", "and " * 600).returncode, 2)

    def test_help_and_completions(self):
        self.assertIn("--repetition-penalty", pippin("generate", "--help").stdout)
        self.assertIn("generate", pippin("completions", "bash").stdout)

    def test_ctrl_c_keeps_what_was_written(self):
        process = subprocess.Popen([PIPPIN, "generate", str(EXAMPLE), *GENESIS, "-m", "-1", "--logit-bias", "1=-1000",
                                    "--logit-bias", "5=-1000"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        begun = os.read(process.stdout.fileno(), 100)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertTrue((begun + rest).startswith(b" c"))

    def test_a_prompt_cache_in_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "cache.safetensors")
            made = pippin("cache-prompt", EXAMPLE, "--prompt", "In the beginning", "--prompt-cache-file", Path(folder, "cache"))
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertRegex(made.stderr, r"Prompt: \d tokens, .*\nPeak memory: .*\nWritten: .*cache\.safetensors\n")
            answer = json.loads(pippin("generate", "--prompt-cache-file", file, "--prompt", "God", "--json").stdout)
            self.assertGreater(answer["cached_tokens"], 3)
            # The file knows its weights, whatever they are called.
            self.assertEqual(pippin("generate", EXAMPLE / ".", "--prompt-cache-file", file, *GENESIS, "-m", 2).returncode, 0)
            self.assertEqual(pippin("generate", "--prompt-cache-file", file, "--kv-bits", "7", *GENESIS).returncode, 2)
            file.write_bytes(b"nothing")
            self.assertEqual(pippin("generate", "--prompt-cache-file", file, *GENESIS).returncode, 4)

    def test_a_draft_model_changes_no_answer(self):
        alone = pippin("generate", EXAMPLE, *GENESIS, "-m", 30)
        drafted = pippin("generate", EXAMPLE, *GENESIS, "-m", 30, "--draft-model", EXAMPLE, "--num-draft-tokens", 4)
        self.assertEqual(drafted.stdout, alone.stdout)
        self.assertRegex(drafted.stderr, r"Drafted: \d+ tokens, \d+ of them accepted\n")

    def test_a_batch(self):
        lines = ['{"prompt": "In the beginning God", "max_tokens": 9, "id": 7}', "", '{"prompt": 3}',
                 '{"messages": [{"role": "user", "content": "In the beginning"}]}']
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
            source.write_text("\n".join(lines) + "\n")
            flags = ["generate", EXAMPLE, "--batch", source, "--ignore-chat-template", "--output", output]
            result = pippin(*flags, "-m", 5, "--progress", "json")
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("Answered: 1; failed: 2;", result.stderr)
            self.assertIn('"what": "prompts", "done": 3', result.stderr)
            rows = [json.loads(line) for line in output.read_text().splitlines()]
            self.assertEqual([row["line"] for row in rows], [1, 3, 4])
            self.assertEqual((rows[0]["id"], rows[0]["text"]), (7, " created the heaven and the earth."))
            self.assertIn("line 3", rows[1]["error"]["value"])
            # What is there already is not overwritten.
            self.assertEqual(pippin(*flags).returncode, 10)
            good = pippin("generate", EXAMPLE, "--batch", "-", "-m", 5, stdin=None, input=lines[3])
            self.assertEqual((good.returncode, len(good.stdout.splitlines())), (0, 1), good.stderr)

    def test_an_interrupted_batch_says_what_was_done(self):
        endless = ["-m", "-1", "--no-context-limit", "--logit-bias", "1=-1000", "--logit-bias", "5=-1000"]
        lines = '{"prompt": "In the", "max_tokens": 2}\n{"prompt": "And"}\n{"prompt": "Now"}\n'
        process = subprocess.Popen([PIPPIN, "generate", str(EXAMPLE), "--batch", "-", *endless], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(lines.encode())
        process.stdin.close()
        process.stdin = None
        first = os.read(process.stdout.fileno(), 1000)
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(len((first + rest).splitlines()), 1)
        self.assertIn(b"Interrupted: the last 2 were not answered.", told)

    def test_without_the_runtime_it_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(PIPPIN, folder)
            result = subprocess.run([alone, "generate", str(EXAMPLE), *GENESIS], capture_output=True, text=True)
            self.assertEqual(result.returncode, 7)
            self.assertIn("pippin-runtime", result.stderr)


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()

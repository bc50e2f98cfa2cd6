"""pippin convert REPO from outside, against the stand-in: tensors are converted as their bytes arrive, whatever the network and
the user do meanwhile; what comes out is what the conversion of a folder gives, byte for byte.

    python3 tests/hub/streaming_test.py PIPPIN
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "examples" / "kjv-tiny"
PIPPIN = ""
MIB = 1 << 20
WIDTH, INNER, VOCABULARY, LAYERS = 512, 1408, 8192, 6


def bf16(count, seed):
    """Random values of a size that weights have."""
    values = bytearray(random.Random(seed).randbytes(2 * count))
    values[1::2] = bytes(values[1::2]).translate(bytes(0x3C + (i & 0x81) % 0x7E for i in range(256)))
    return bytes(values)


def write_safetensors(path, tensors):
    header, blobs, at = {}, [], 0
    for name, shape, values in tensors:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + len(values)]}
        at += len(values)
        blobs.append(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def make_model(folder):
    """A Llama of about 60 MB in three files; a file's tensors stand in the order of their names, not of the layers."""
    shapes = {"model.embed_tokens.weight": [VOCABULARY, WIDTH], "model.norm.weight": [WIDTH], "lm_head.weight": [VOCABULARY, WIDTH]}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}self_attn.{one}_proj.weight": [WIDTH, WIDTH] for one in "qkvo"}
        shapes |= {f"{at}mlp.{one}_proj.weight": [INNER, WIDTH] for one in ("gate", "up")}
        shapes |= {f"{at}mlp.down_proj.weight": [WIDTH, INNER]}
        shapes |= {f"{at}{one}_layernorm.weight": [WIDTH] for one in ("input", "post_attention")}
    folder.mkdir(parents=True)
    for file in EXAMPLE.iterdir():
        if file.suffix != ".safetensors" and "index" not in file.name:
            shutil.copy(file, folder)
    config = json.loads((EXAMPLE / "config.json").read_text())
    config |= {"hidden_size": WIDTH, "intermediate_size": INNER, "vocab_size": VOCABULARY, "num_hidden_layers": LAYERS,
               "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    names, weight_map = sorted(shapes), {}
    for file in range(3):
        name = f"model-0000{file + 1}-of-00003.safetensors"
        mine = names[file * len(names) // 3 : (file + 1) * len(names) // 3]
        write_safetensors(folder / name, [(one, shapes[one], bf16(shapes[one][0] * (shapes[one] + [1])[1], one)) for one in mine])
        weight_map |= dict.fromkeys(mine, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


class Streaming(unittest.TestCase):
    """With a copy of the source in the cache."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.all = Path(tempfile.mkdtemp(prefix="pippin-stream-"))
        cls.addClassCleanup(shutil.rmtree, cls.all)
        cls.source = cls.all / "repos" / "org" / "model"
        make_model(cls.source)
        cls.size = sum(file.stat().st_size for file in cls.source.glob("*.safetensors"))
        subprocess.run([PIPPIN, "convert", cls.source, cls.all / "expected", "-q", "--quiet"], check=True)
        command = [sys.executable, "-B", HERE / "stand_in_hub.py", "--root", cls.all / "repos"]
        cls.hub = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop)
        cls.url = json.loads(cls.hub.stdout.readline())["hub"]

    @classmethod
    def stop(cls):
        cls.hub.terminate()
        cls.hub.wait()
        cls.hub.stdout.close()

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-stream-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = self.folder / "out"
        self.unfinished = self.folder / ".out.pippin-partial"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS"))}
        self.environment |= {"HF_ENDPOINT": self.url, "HF_HOME": str(self.folder / "home")}
        self.faults()
        self.control("reset", b"{}")

    # ---- the stand-in

    def control(self, what, body=None):
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/__stand_in__/{what}", data=body)) as answer:
            return json.loads(answer.read() or b"null")

    def faults(self, *faults):
        self.control("faults", json.dumps(faults).encode())

    def bytes_sent(self):
        return sum(row["sent"] for row in self.control("log") if row["route"] == "download")

    # ---- pippin

    def command(self, *more):
        return [str(one) for one in (PIPPIN, "convert", "org/model", self.out, "-q", *self.arguments, *more)]

    def convert(self, *more, **options):
        return subprocess.run(self.command(*more), capture_output=True, text=True, env=self.environment, **options)

    def begin(self):
        return subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)

    def jobs_done(self):
        journal = self.unfinished / ".pippin-journal"
        return journal.read_text().count("\njob ") if journal.exists() else 0

    def wait_for_jobs(self, child, count):
        """Until so many jobs are finished."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if self.jobs_done() >= count:
                return
            time.sleep(0.02)
        self.fail("the conversion did not begin while the bytes came")

    def wait_until_some_is_kept(self, child):
        """Until a second run can go on from what is there."""
        self.wait_for_jobs(child, 30)

    def expect_right(self):
        expected = self.all / "expected"
        self.assertEqual(sorted(file.name for file in self.out.iterdir()), sorted(file.name for file in expected.iterdir()))
        for file in expected.iterdir():
            if file.name != "README.md":
                self.assertEqual((self.out / file.name).read_bytes(), file.read_bytes(), file.name)
        self.assertFalse(self.unfinished.exists())

    def expect_sound(self):
        """Nothing in the cache is other than its name says, and no output is there that is not whole."""
        for blob in (self.folder / "home").glob("hub/models--*/blobs/*"):
            if len(blob.name) == 64:
                self.assertEqual(hashlib.sha256(blob.read_bytes()).hexdigest(), blob.name)
        if self.out.exists():
            self.expect_right()

    def expect_done(self, *more):
        result = self.convert("--json", *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_right()
        self.expect_sound()
        return json.loads(result.stdout)

    # ---- what happens

    def test_the_output_is_that_of_the_folder(self):
        report = self.expect_done()
        self.assertGreaterEqual(report["bytes_fetched"], self.size - 4 * MIB)
        self.assertLessEqual(self.bytes_sent(), self.size + 2 * MIB, "the headers come twice, nothing else")

    def test_tensors_are_converted_while_others_arrive(self):
        self.faults({"kind": "slow", "rate": 2 * MIB, "scope": "cdn"})
        child = self.begin()
        self.wait_for_jobs(child, 10)
        self.assertFalse(self.out.exists())
        self.faults()
        self.assertEqual(child.wait(), 0)
        self.expect_right()

    def test_what_the_network_does(self):
        for faults in [
            [{"kind": "drop", "every": 2, "after": 3000000}],
            [{"kind": "drop", "every": 3, "after": 1}],
            [{"kind": "drop", "every": 5, "after": 100000, "reset": 1}],
            [{"kind": "truncate", "every": 3, "scope": "cdn"}],
            [{"kind": "flip", "every": 4, "max": 2, "scope": "cdn", "match": "*.safetensors"}],
            [{"kind": "error", "every": 3, "max": 3}],
            [{"kind": "rate-limit", "max": 2, "retry_after": 0}],
            [{"kind": "error", "status": 403, "scope": "cdn", "every": 3}],
            [{"kind": "ignore-range", "scope": "cdn"}],
        ]:
            with self.subTest(faults=faults):
                shutil.rmtree(self.folder / "home", ignore_errors=True)
                shutil.rmtree(self.out, ignore_errors=True)
                self.faults(*faults)
                self.expect_done()

    def test_wrong_bytes_make_no_output(self):
        self.faults({"kind": "flip", "scope": "cdn", "match": "model-00002*"})
        result = self.convert()
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn("model-00002-of-00003.safetensors", result.stderr)
        self.assertFalse(self.out.exists())
        self.expect_sound()
        self.faults()
        self.expect_done()

    def test_killed_it_goes_on(self):
        self.faults({"kind": "slow", "rate": 2 * MIB, "scope": "cdn"})
        child = self.begin()
        self.wait_until_some_is_kept(child)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.expect_sound()
        time.sleep(0.3)  # until the stand-in has noticed, and logged what it sent
        self.faults()
        before = self.bytes_sent()
        report = self.expect_done()
        self.assertGreater(report["resumed"], 0)
        self.assertLess(self.bytes_sent() - before, self.size - 4 * MIB, "what had come was not fetched again")

    def test_wrong_bytes_before_a_kill_do_not_stay(self):
        self.faults({"kind": "flip", "at": 5000001, "every": 2, "max": 1, "scope": "cdn", "match": "model-00001*"},
                    {"kind": "slow", "rate": 4 * MIB, "scope": "cdn"})
        child = self.begin()
        self.wait_for_jobs(child, 12)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.faults()
        self.expect_done()

    def test_interrupted_by_the_user(self):
        self.faults({"kind": "slow", "rate": 2 * MIB, "scope": "cdn"})
        child = self.begin()
        self.wait_for_jobs(child, 5)
        os.kill(child.pid, signal.SIGINT)
        self.assertEqual(child.wait(timeout=20), 130)
        self.faults()
        self.expect_done()

    def test_another_conversion_does_not_take_up_this_one(self):
        self.faults({"kind": "slow", "rate": 4 * MIB, "scope": "cdn"})
        child = self.begin()
        self.wait_for_jobs(child, 5)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.faults()
        result = self.convert("--q-bits", "8", "--json")
        self.assertEqual((result.returncode, json.loads(result.stdout)["resumed"]), (0, 0), result.stderr)

    def test_a_disk_that_takes_no_more(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5 * MIB, 5 * MIB))

        result = self.convert(preexec_fn=limit)
        self.assertEqual(result.returncode, 11, result.stderr)
        self.assertFalse(self.out.exists())
        self.expect_sound()
        self.expect_done()


class WithoutCache(Streaming):
    """Without one."""

    arguments = ("--no-cache",)

    def expect_sound(self):
        self.assertFalse((self.folder / "home").exists())
        super().expect_sound()

    def wait_until_some_is_kept(self, child):
        """A piece goes from the disk when its digest is noted and all that needs it was read. The first two hold a tensor."""
        deadline = time.monotonic() + 120
        second, notes = self.unfinished / ".pippin-spool" / "0-1", self.unfinished / ".pippin-arrivals"
        while time.monotonic() < deadline and child.poll() is None:
            if notes.exists() and notes.read_text().count("digest 0 ") >= 2 and not second.exists():
                return self.wait_for_jobs(child, self.jobs_done() + 1)
            time.sleep(0.02)
        self.fail("nothing was kept while the bytes came")

    def test_what_the_cache_has_is_not_fetched(self):
        kept = subprocess.run([PIPPIN, "download", "org/model", "--quiet"], capture_output=True, env=self.environment)
        self.assertEqual(kept.returncode, 0, kept.stderr)
        before = self.bytes_sent()
        self.assertEqual(self.convert().returncode, 0)
        self.expect_right()
        self.assertLess(self.bytes_sent() - before, 2 * MIB)

    def test_a_folder_has_no_cache(self):
        result = subprocess.run([PIPPIN, "convert", self.source, self.out, "--no-cache"], capture_output=True)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()

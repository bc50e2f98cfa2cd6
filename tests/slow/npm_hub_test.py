"""The Hub's official client for JavaScript reads what pippin uploaded, pippin reads what it uploaded, and each finds in the cache
folder what the other downloaded.

    python3 tests/slow/npm_hub_test.py PIPPIN

Installs @huggingface/hub, in the version below, into build/npm-hub.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENT = ROOT / "build" / "npm-hub"
VERSION = "2.17.5"
PIPPIN = ""
FILES = {
    "README.md": b"# A model\n",
    "config.json": b'{"model_type": "llama"}',
    "sub/more.json": b"[]",
    "model.safetensors": random.Random(1).randbytes(20_000_000),
}

UPLOAD = """
const hub = require("@huggingface/hub"), fs = require("fs"), path = require("path");
const { url, folder, names, repo } = JSON.parse(process.argv[1]);
(async () => {
  await hub.createRepo({ repo, accessToken: "hf_any", hubUrl: url });
  const files = names.map((name) => ({ path: name, content: new Blob([fs.readFileSync(path.join(folder, name))]) }));
  await hub.uploadFiles({ repo, accessToken: "hf_any", hubUrl: url, files, useXet: false });
})().catch((error) => { console.error(error); process.exit(1); });
"""

READ = """
const hub = require("@huggingface/hub"), crypto = require("crypto");
const { url, repo } = JSON.parse(process.argv[1]);
(async () => {
  const digests = {};
  for await (const file of hub.listFiles({ repo, hubUrl: url, recursive: true })) {
    if (file.type !== "file") continue;
    const blob = await hub.downloadFile({ repo, path: file.path, hubUrl: url, xet: false });
    digests[file.path] = crypto.createHash("sha256").update(Buffer.from(await blob.arrayBuffer())).digest("hex");
  }
  console.log(JSON.stringify(digests));
})().catch((error) => { console.error(error); process.exit(1); });
"""

SNAPSHOT = """
const hub = require("@huggingface/hub");
const { url, repo, cache } = JSON.parse(process.argv[1]);
hub.snapshotDownload({ repo, hubUrl: url, cacheDir: cache, xet: false })
  .then((folder) => console.log(JSON.stringify(folder)))
  .catch((error) => { console.error(error); process.exit(1); });
"""


def install():
    stamp = CLIENT / "version"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    shutil.rmtree(CLIENT, ignore_errors=True)
    CLIENT.mkdir(parents=True)
    (CLIENT / "package.json").write_text("{}")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"@huggingface/hub@{VERSION}"],
                   cwd=CLIENT, check=True, timeout=600)
    stamp.write_text(VERSION)


class Npm(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-npm-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.source, self.cache = self.folder / "source", self.folder / "cache"
        for name, content in FILES.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (self.folder / "repos").mkdir()
        command = [sys.executable, "-B", ROOT / "tests" / "hub" / "stand_in_hub.py", "--root", self.folder / "repos"]
        self.hub = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.url = json.loads(self.hub.stdout.readline())["hub"]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS"))}
        self.environment |= {"HF_ENDPOINT": self.url, "HF_HUB_CACHE": str(self.cache), "HF_TOKEN": "hf_any"}

    def stop(self):
        self.hub.terminate()
        self.hub.wait()
        self.hub.stdout.close()

    def run_checked(self, command, **options):
        result = subprocess.run([*map(str, command)], capture_output=True, text=True, env=self.environment, timeout=300, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def pippin(self, *arguments):
        return self.run_checked([PIPPIN, *arguments])

    def client(self, script, **arguments):
        return self.run_checked(["node", "-e", script, json.dumps({"url": self.url, **arguments}, default=str)], cwd=CLIENT)

    def contents_sent(self):
        with urllib.request.urlopen(f"{self.url}/__stand_in__/log") as answer:
            rows = json.loads(answer.read())
        return sum(row["sent"] for row in rows if row["method"] == "GET" and row["status"] < 300 and row["route"] in ("download", "resolve", "resolve-cache"))

    def test_the_client_reads_what_pippin_uploaded(self):
        self.pippin("upload", self.source, "org/ours")
        digests = json.loads(self.client(READ, repo="org/ours"))
        digests.pop(".gitattributes", None)
        self.assertEqual(digests, {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()})

    def upload_theirs(self):
        self.client(UPLOAD, repo="org/theirs", folder=self.source, names=list(FILES))

    def expect_files(self, folder):
        for name, content in FILES.items():
            self.assertEqual((Path(folder) / name).read_bytes(), content, name)

    def test_pippin_reads_what_the_client_uploaded(self):
        self.upload_theirs()
        self.expect_files(self.pippin("download", "org/theirs", "--quiet").strip())
        again = json.loads(self.pippin("upload", self.source, "org/theirs", "--json"))
        self.assertEqual((again["committed"], again["bytes_sent"]), (False, 0))

    def test_the_client_finds_what_pippin_downloaded(self):
        self.pippin("upload", self.source, "org/model")
        folder = self.pippin("download", "org/model", "--quiet").strip()
        sent = self.contents_sent()
        self.assertEqual(json.loads(self.client(SNAPSHOT, repo="org/model", cache=self.cache).splitlines()[-1]), folder)
        self.expect_files(folder)
        self.assertEqual(self.contents_sent(), sent)

    def test_pippin_finds_what_the_client_downloaded(self):
        self.pippin("upload", self.source, "org/model")
        folder = json.loads(self.client(SNAPSHOT, repo="org/model", cache=self.cache).splitlines()[-1])
        sent = self.contents_sent()
        report = json.loads(self.pippin("download", "org/model", "--json"))
        self.assertEqual((report["folder"], report["bytes_fetched"]), (folder, 0))
        self.assertEqual(self.contents_sent(), sent)
        self.assertEqual(json.loads(self.pippin("cache", "verify", "--json"))["faults"], [])


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    install()
    unittest.main()

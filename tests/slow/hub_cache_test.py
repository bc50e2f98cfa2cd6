"""One cache folder for pippin and the official client: each finds what the other downloaded, whole and sound. And each
reads what the other uploaded.

    python3 tests/slow/hub_cache_test.py PIPPIN

Runs itself again in the environment that tools/reference_venv makes.
"""

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
PIPPIN = ""
FILES = {
    "README.md": b"# A model\n",
    "config.json": b'{"model_type": "llama"}',
    "empty.txt": b"",
    "sub/more.json": b"[]",
    "model.safetensors": random.Random(1).randbytes(20_000_000),
}


class OneCache(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-slow-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name, content in FILES.items():
            path = self.folder / "repos" / "org" / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        command = [sys.executable, "-B", ROOT / "tests" / "hub" / "stand_in_hub.py", "--root", self.folder / "repos"]
        self.hub = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.url = json.loads(self.hub.stdout.readline())["hub"]
        self.cache = self.folder / "cache"

    def stop(self):
        self.hub.terminate()
        self.hub.wait()
        self.hub.stdout.close()

    def bytes_sent(self):
        with urllib.request.urlopen(f"{self.url}/__stand_in__/log") as answer:
            rows = json.loads(answer.read())
        return sum(row["sent"] for row in rows if row["method"] == "GET" and row["route"] in ("download", "resolve", "resolve-cache"))

    def pippin(self, *arguments):
        environment = {**os.environ, "HF_ENDPOINT": self.url, "HF_HUB_CACHE": str(self.cache)}
        result = subprocess.run([PIPPIN, *map(str, arguments)], capture_output=True, text=True, env=environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def official(self, **options):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download("org/model", cache_dir=self.cache, endpoint=self.url, **options))

    def expect_sound(self, folder):
        from huggingface_hub import scan_cache_dir

        for name, content in FILES.items():
            self.assertEqual((folder / name).read_bytes(), content, name)
        report = scan_cache_dir(self.cache)
        self.assertEqual(report.warnings, [])
        (repo,) = report.repos
        (revision,) = repo.revisions
        self.assertEqual((repo.repo_id, revision.refs, len(revision.files)), ("org/model", {"main"}, len(FILES)))
        listed = json.loads(self.pippin("cache", "ls", "--json"))["repos"]
        self.assertEqual([(one["repo"], one["bytes"]) for one in listed], [("org/model", repo.size_on_disk)])
        self.assertEqual(json.loads(self.pippin("cache", "verify", "--json"))["faults"], [])

    def test_the_official_client_finds_what_pippin_downloaded(self):
        folder = Path(self.pippin("download", "org/model", "--quiet").strip())
        sent = self.bytes_sent()
        self.assertEqual(self.official(), folder)
        self.assertEqual(self.official(local_files_only=True), folder)
        self.assertEqual(self.bytes_sent(), sent)
        self.expect_sound(folder)

    def test_pippin_finds_what_the_official_client_downloaded(self):
        folder = self.official()
        sent = self.bytes_sent()
        report = json.loads(self.pippin("download", "org/model", "--json"))
        self.assertEqual((Path(report["folder"]), report["bytes_fetched"]), (folder, 0))
        self.assertEqual(self.bytes_sent(), sent)
        self.expect_sound(folder)

    def test_one_begins_and_the_other_completes(self):
        self.pippin("download", "org/model", "model.safetensors")
        sent = self.bytes_sent()
        self.expect_sound(self.official())
        self.assertLess(self.bytes_sent() - sent, 1000)

    def test_a_folder_of_the_users_own(self):
        mine = self.folder / "mine"
        self.pippin("download", "org/model", "--local-dir", mine)
        sent = self.bytes_sent()
        self.assertEqual(self.official(local_dir=mine), mine)
        self.assertEqual(self.bytes_sent(), sent)

    # ---- uploads

    def expect_uploaded(self, repo):
        """Both clients get the folder back, byte for byte."""
        from huggingface_hub import snapshot_download

        official = Path(snapshot_download(repo, cache_dir=self.folder / "theirs", endpoint=self.url))
        ours = self.folder / f"ours-{repo.replace('/', '-')}"
        self.pippin("download", repo, "--local-dir", ours)
        for name, content in FILES.items():
            self.assertEqual((official / name).read_bytes(), content, name)
            self.assertEqual((ours / name).read_bytes(), content, name)

    def test_the_official_client_reads_what_pippin_uploaded(self):
        from huggingface_hub import HfApi

        os.environ["HF_TOKEN"] = "any"
        self.addCleanup(os.environ.pop, "HF_TOKEN")
        source = self.folder / "repos" / "org" / "model"
        self.pippin("upload", source, "org/ours", "--commit-message", "By pippin")
        self.expect_uploaded("org/ours")
        api = HfApi(endpoint=self.url)
        self.assertEqual([one.title for one in api.list_repo_commits("org/ours")][0], "By pippin")
        before = api.model_info("org/ours").sha
        api.upload_folder(repo_id="org/ours", folder_path=source)
        self.assertEqual(api.model_info("org/ours").sha, before, "the official client finds nothing to change")

    def test_pippin_reads_what_the_official_client_uploaded(self):
        from huggingface_hub import HfApi

        os.environ["HF_TOKEN"] = "any"
        self.addCleanup(os.environ.pop, "HF_TOKEN")
        source, api = self.folder / "repos" / "org" / "model", HfApi(endpoint=self.url)
        api.create_repo("org/theirs")
        api.upload_folder(repo_id="org/theirs", folder_path=source)
        self.expect_uploaded("org/theirs")
        report = json.loads(self.pippin("upload", source, "org/theirs", "--json"))
        self.assertEqual((report["committed"], report["bytes_sent"]), (False, 0))


if __name__ == "__main__":
    if "PIPPIN_REFERENCE_VENV" not in os.environ:
        python = subprocess.run([sys.executable, ROOT / "tools" / "reference_venv"], check=True, capture_output=True, text=True).stdout.strip()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS"))}
        environment |= {"PIPPIN_REFERENCE_VENV": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        os.execve(python, [python, *sys.argv], environment)
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()

"""pippin download, upload, whoami and cache from outside, against the stand-in: what they print, their exit statuses, and what
is left on the disk when they are killed or the disk is full.

    python3 tests/hub/commands_test.py PIPPIN
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "examples" / "kjv-tiny"
PIPPIN = ""
MIB = 1024 * 1024


class Hub:
    """stand_in_hub.py with one repository: a large file of 40 MiB and a small one."""

    def __init__(self, folder, *arguments):
        self.files = {"config.json": b"{}", "model.safetensors": random.Random(1).randbytes(40 * MIB)}
        for name, content in self.files.items():
            path = folder / "repos" / "org" / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        command = [sys.executable, "-B", HERE / "stand_in_hub.py", "--root", folder / "repos", *arguments]
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["hub"]

    def control(self, what, body=None):
        request = urllib.request.Request(f"{self.url}/__stand_in__/{what}", data=body and json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def faults(self, *faults):
        request = urllib.request.Request(f"{self.url}/__stand_in__/faults", data=json.dumps(faults).encode())
        urllib.request.urlopen(request).close()

    def bytes_sent(self):
        return sum(row["sent"] for row in self.control("log") if row["route"] == "download")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Commands(unittest.TestCase):
    arguments = ()

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-hub-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.hub = Hub(self.folder, "--token", "hf_good", *self.arguments)
        self.addCleanup(self.hub.close)
        self.cache = self.folder / "cache"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS"))}
        self.environment |= {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.folder / "home"), "HF_HUB_CACHE": str(self.cache)}

    def pippin(self, *arguments, **options):
        environment = self.environment | options.pop("env", {})
        return subprocess.run([PIPPIN, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=environment, **options)

    def blobs(self):
        return sorted((self.cache / "models--org--model" / "blobs").glob("*"))

    def expect_nothing_corrupt(self):
        for blob in self.blobs():
            if len(blob.name) == 64:
                self.assertEqual(hashlib.sha256(blob.read_bytes()).hexdigest(), blob.name)

    def expect_whole(self, folder):
        for name, content in self.hub.files.items():
            self.assertEqual((folder / name).read_bytes(), content, name)

    def test_download_prints_where_the_files_are(self):
        result = self.pippin("download", "org/model", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_whole(Path(result.stdout.strip()))
        again = json.loads(self.pippin("download", "org/model", "--json").stdout)
        self.assertEqual((again["bytes_fetched"], again["bytes"]), (0, 40 * MIB + 2))

    def test_progress_tells_of_each_file(self):
        self.hub.faults({"kind": "slow", "rate": 10 * MIB, "scope": "cdn"})
        result = self.pippin("download", "org/model", "--progress", "json")
        events = [json.loads(line) for line in result.stderr.splitlines()]
        self.assertEqual(events[-1]["done"], events[-1]["total"])
        self.assertTrue(any(file["name"] == "model.safetensors" for event in events for file in event.get("files", [])))

    def test_exit_statuses(self):
        for arguments, status in [
            (["download"], 2),
            (["download", "not a name"], 2),
            (["download", "org/none"], 3),
            (["download", "org/model", "none.bin"], 3),
            (["download", "org/model", "--revision", "v9"], 3),
            (["whoami"], 15),
            (["upload"], 2),
            (["upload", ".", "org/new"], 15),
            (["upload", "none", "tester/new"], 15),
            (["cache"], 2),
            (["cache", "rm"], 2),
            (["cache", "rm", "org/model", "--yes"], 3),
        ]:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.pippin(*arguments).returncode, status)
        unreachable = self.pippin("download", "org/model", env={"HF_ENDPOINT": "http://127.0.0.1:1"})
        self.assertEqual(unreachable.returncode, 14, unreachable.stderr)
        offline = self.pippin("download", "org/model", env={"HF_HUB_OFFLINE": "1"})
        self.assertEqual(offline.returncode, 3, offline.stderr)

    def test_whoami_never_shows_the_token(self):
        result = self.pippin("whoami", env={"HF_TOKEN": "hf_good"})
        self.assertEqual(result.stdout.splitlines()[0], "tester")
        refused = self.pippin("whoami", env={"HF_TOKEN": "hf_stolen"})
        self.assertEqual(refused.returncode, 15)
        self.assertNotIn("hf_", (result.stdout + refused.stdout + refused.stderr).replace("hf_token", ""))

    def test_the_cache_is_listed_checked_and_cleared(self):
        self.pippin("download", "org/model", "--quiet")
        self.assertIn("org/model", self.pippin("cache", "ls").stdout)
        self.assertEqual(self.pippin("cache", "verify").returncode, 0)
        large = next(blob for blob in self.blobs() if len(blob.name) == 64)
        with large.open("r+b") as file:
            file.write(b"\0\0\0\0\0\0\0\0")
        self.assertEqual(self.pippin("cache", "verify", "org/model").returncode, 4)
        self.assertEqual(self.pippin("cache", "rm", "org/model").returncode, 2, "nobody to ask")
        self.assertEqual(self.pippin("cache", "rm", "org/model", "--yes").returncode, 0)
        self.assertEqual(json.loads(self.pippin("cache", "ls", "--json").stdout)["repos"], [])

    def test_killed_in_the_middle(self):
        self.hub.faults({"kind": "slow", "rate": 8 * MIB, "scope": "cdn"})
        child = subprocess.Popen([PIPPIN, "download", "org/model"], stdout=subprocess.DEVNULL, env=self.environment)
        part = self.cache / "models--org--model" / "blobs"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            partials = [path for path in part.glob("*.incomplete") if path.stat().st_blocks * 512 > 12 * MIB]
            if partials:
                break
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.expect_nothing_corrupt()
        time.sleep(0.5)  # until the stand-in has noticed, and logged what it sent
        self.hub.faults()
        before = self.hub.bytes_sent()
        result = self.pippin("download", "org/model", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_whole(Path(result.stdout.strip()))
        second = self.hub.bytes_sent() - before
        self.assertLess(second, 32 * MIB, "what had come was not fetched again")
        self.assertEqual([path.name for path in part.glob("*.incomplete")], [])

    def test_interrupted_by_the_user(self):
        self.hub.faults({"kind": "slow", "rate": 2 * MIB, "scope": "cdn"})
        child = subprocess.Popen([PIPPIN, "download", "org/model"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
        time.sleep(1.5)
        os.kill(child.pid, signal.SIGINT)
        self.assertEqual(child.wait(timeout=20), 130)

    def limited(self, size):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return limit

    def test_a_disk_that_takes_no_more(self):
        result = self.pippin("download", "org/model", preexec_fn=self.limited(10 * MIB))
        self.assertEqual(result.returncode, 11, result.stderr)
        self.assertIn("free some space", result.stderr)
        self.expect_nothing_corrupt()
        self.assertEqual(self.pippin("download", "org/model", "--quiet").returncode, 0)
        self.expect_nothing_corrupt()

    @unittest.skipUnless(sys.platform == "linux" and os.geteuid() == 0, "needs a file system of its own")
    def test_a_disk_that_is_too_small_is_told_at_once(self):
        small = self.folder / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], capture_output=True).returncode != 0:
            self.skipTest("mounting is not allowed here")
        try:
            result = self.pippin("download", "org/model", env={"HF_HUB_CACHE": str(small)})
            self.assertEqual(result.returncode, 11, result.stderr)
            self.assertEqual(self.hub.bytes_sent(), 0)
        finally:
            subprocess.run(["umount", small], check=True)


    # ---- pippin convert REPO

    # ---- pippin upload, pippin convert --upload-repo

    def model_folder(self):
        folder = self.folder / "mine"
        folder.mkdir()
        for name, content in self.hub.files.items():
            (folder / name).write_bytes(content)
        return folder

    def as_owner(self, *arguments, **options):
        return self.pippin(*arguments, env={"HF_TOKEN": "hf_good"}, **options)

    def uploaded(self, repo="tester/new"):
        return self.folder / "repos" / repo

    def bytes_received(self):
        """Of contents that came whole."""
        rows = self.hub.control("log")
        return sum(row["received"] for row in rows if row["route"].startswith("upload") and row["status"] == 200)

    def test_upload_prints_where_the_model_is(self):
        folder = self.model_folder()
        result = self.as_owner("upload", folder, "tester/new", "--private", "--commit-message", "A first one")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("a new repository", result.stdout)
        self.assertIn(f"{self.hub.url}/tester/new", result.stdout)
        self.expect_whole(self.uploaded())
        again = json.loads(self.as_owner("upload", folder, "tester/new", "--json").stdout)
        self.assertEqual((again["committed"], again["bytes_sent"], again["bytes"]), (False, 0, 40 * MIB + 2))
        quiet = self.as_owner("upload", folder, "tester/new", "--upload-as-pr", "--quiet")
        self.assertEqual(quiet.stdout, f"{self.hub.url}/tester/new\n", "nothing to propose")
        self.assertEqual(self.hub.control("summary")["auth_on_cdn"], 0)
        self.assertEqual(self.as_owner("upload", self.folder / "none", "tester/new").returncode, 3)
        refused = self.pippin("upload", folder, "tester/other", env={"HF_TOKEN": "hf_stolen"})
        self.assertEqual(refused.returncode, 15)
        for one in (result, quiet, refused):
            self.assertNotIn("hf_", (one.stdout + one.stderr).replace("hf_token", "").replace("HF_TOKEN", ""))

    def test_upload_tells_its_progress(self):
        self.hub.faults({"kind": "slow", "rate": 40 * MIB, "scope": "upload"})
        result = self.as_owner("upload", self.model_folder(), "tester/new", "--progress", "json")
        events = [json.loads(line) for line in result.stderr.splitlines()]
        sending = [event for event in events if event["what"] == "uploading"]
        self.assertEqual((sending[-1]["done"], sending[-1]["total"]), (40 * MIB, 40 * MIB))
        self.assertTrue(any(file["name"] == "model.safetensors" for event in sending for file in event.get("files", [])))

    def test_upload_killed_in_the_middle(self):
        folder = self.model_folder()
        (folder / "model-2.safetensors").write_bytes(random.Random(2).randbytes(MIB))
        self.hub.faults({"kind": "slow", "rate": 2 * MIB, "scope": "upload"})
        environment = self.environment | {"HF_TOKEN": "hf_good"}
        child = subprocess.Popen([PIPPIN, "upload", folder, "tester/new"], stdout=subprocess.DEVNULL, env=environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(row["route"] == "lfs verify" for row in self.hub.control("log")):
                break
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.assertFalse((self.uploaded() / "config.json").exists())
        self.hub.faults()
        before = self.bytes_received()
        self.assertEqual(self.as_owner("upload", folder, "tester/new", "--quiet").returncode, 0)
        self.assertEqual(self.bytes_received() - before, 40 * MIB, "the file that was whole is not sent again")
        self.expect_whole(self.uploaded())

    def test_convert_uploads_its_output(self):
        repo, out = self.serve_example(), self.folder / "out"
        result = self.as_owner("convert", repo, out, "-q", "--upload-repo", "tester/kjv-4bit", "--private", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["upload"]["created"], True)
        for file in out.iterdir():
            self.assertEqual((self.uploaded("tester/kjv-4bit") / file.name).read_bytes(), file.read_bytes(), file.name)
        card = (out / "README.md").read_text()
        for text in ("base_model: org/kjv", "# tester/kjv-4bit", "mlx_lm.generate --model tester/kjv-4bit"):
            self.assertIn(text, card)

    def test_convert_asks_whether_it_may_upload_before_it_begins(self):
        repo = self.serve_example()
        for arguments, status in [(["--upload-repo", "somebody/else"], 15), (["--upload-repo", "no name"], 2), (["--private"], 2)]:
            result = self.as_owner("convert", repo, self.folder / "out", *arguments)
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertFalse((self.folder / "out").exists())

    def test_a_conversion_stays_when_its_upload_fails(self):
        self.hub.faults({"kind": "error", "status": 400, "scope": "upload"})
        out = self.folder / "out"
        result = self.as_owner("convert", EXAMPLE, out, "--upload-repo", "tester/kjv")
        self.assertEqual(result.returncode, 14, result.stderr)
        self.assertIn(f"pippin upload {out} tester/kjv", result.stderr)
        self.hub.faults()
        self.assertEqual(self.as_owner("upload", out, "tester/kjv").returncode, 0)

    def serve_example(self, name="kjv", **changes):
        """The bundled example as org/NAME, with other fields in its config.json."""
        folder = self.folder / "repos" / "org" / name
        shutil.copytree(EXAMPLE, folder)
        config = json.loads((EXAMPLE / "config.json").read_text()) | changes
        if changes:
            (folder / "config.json").write_text(json.dumps(config))
        return f"org/{name}"

    def convert(self, *arguments, **options):
        return self.pippin("convert", *arguments, cwd=self.folder, **options)

    def test_a_repository_is_converted_as_its_folder_is(self):
        repo, out, expected = self.serve_example(), self.folder / "out", self.folder / "expected"
        result = self.convert(repo, out, "-q")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.convert(EXAMPLE, expected, "-q").returncode, 0)
        for file in expected.iterdir():
            if file.name != "README.md":
                self.assertEqual((out / file.name).read_bytes(), file.read_bytes(), file.name)
        self.assertIn("base_model: org/kjv", (out / "README.md").read_text())
        sent = self.hub.bytes_sent()
        self.assertEqual(self.convert("--hf-path", repo, "--mlx-path", self.folder / "again").returncode, 0)
        self.assertEqual(self.hub.bytes_sent(), sent, "the weights are in the cache")
        offline = self.convert(repo, self.folder / "offline", env={"HF_HUB_OFFLINE": "1"})
        self.assertEqual(offline.returncode, 0, offline.stderr)

    def test_a_dry_run_needs_the_headers_only(self):
        result = self.convert(self.serve_example(), "-q", "--dry-run", "--json")
        plan, local = json.loads(result.stdout), json.loads(self.convert(EXAMPLE, "-q", "--dry-run", "--json").stdout)
        self.assertEqual(plan, local)
        weights = sum(file.stat().st_size for file in EXAMPLE.glob("*.safetensors"))
        self.assertLess(self.hub.bytes_sent(), weights / 5)

    def test_what_cannot_be_converted_is_told_before_the_weights_come(self):
        unknown = self.convert(self.serve_example("unknown", model_type="no_such_model"))
        self.assertEqual(unknown.returncode, 7, unknown.stderr)
        missing = self.convert(self.serve_example("missing", num_hidden_layers=4))
        self.assertEqual(missing.returncode, 8, missing.stderr)
        self.assertNotIn("pippin-headers", unknown.stderr + missing.stderr)
        weights = sum(file.stat().st_size for file in EXAMPLE.glob("*.safetensors"))
        self.assertLess(self.hub.bytes_sent(), weights / 2)
        self.assertEqual(list((self.cache / "models--org--missing" / "blobs").glob("*.incomplete")), [])

    def test_a_folder_goes_before_a_repository(self):
        repo = self.serve_example()
        (self.folder / "org" / "kjv").mkdir(parents=True)
        self.assertEqual(self.convert(repo, "out").returncode, 3, "the folder is empty")
        self.assertEqual(self.convert(EXAMPLE, "out", "--revision", "v1").returncode, 2)
        missing = self.convert("org/none", "out")
        self.assertEqual(missing.returncode, 3)
        self.assertIn("there is no folder org/none here", missing.stderr)
        self.assertEqual(self.convert("org/model", "out", "--revision", "v9").returncode, 3)


class Proxy:
    """A proxy for https: lets connections through by CONNECT, and knows where to."""

    def __init__(self):
        self.targets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=[client], daemon=True).start()

    def connect(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        method, target, _ = head.split(b" ", 2)
        self.targets.append((method.decode(), target.decode()))
        host, port = target.decode().rsplit(":", 1)
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.copy, args=[server, client], daemon=True)
            back.start()
            self.copy(client, server)
            back.join()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@unittest.skipUnless(shutil.which("openssl"), "needs openssl to make a certificate")
class Tls(unittest.TestCase):
    def test_a_server_must_prove_who_it_is(self):
        with tempfile.TemporaryDirectory(prefix="pippin-hub-") as name:
            folder = Path(name)
            cert, key = folder / "cert.pem", folder / "key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                           check=True, capture_output=True)
            hub = Hub(folder, "--cert", str(cert), "--key", str(key))
            try:
                environment = {"HOME": name, "HF_ENDPOINT": hub.url, "PATH": os.environ["PATH"]}
                command = [PIPPIN, "download", "org/model", "config.json", "--quiet"]
                refused = subprocess.run(command, capture_output=True, text=True, env=environment)
                self.assertEqual(refused.returncode, 14, refused.stderr)
                self.assertIn("SSL_CERT_FILE", refused.stderr)
                trusted = subprocess.run(command, capture_output=True, text=True, env=environment | {"SSL_CERT_FILE": str(cert)})
                self.assertEqual(trusted.returncode, 0, trusted.stderr)
                self.expect_through_a_proxy([PIPPIN, "download", "org/model", "model.safetensors", "--quiet"], hub.url,
                                            environment | {"SSL_CERT_FILE": str(cert)})
            finally:
                hub.close()


    def expect_through_a_proxy(self, command, url, environment):
        proxy = Proxy()
        try:
            result = subprocess.run(command, capture_output=True, text=True, env=environment | {"HTTPS_PROXY": proxy.url})
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertGreaterEqual({("CONNECT", target) for _, target in proxy.targets}, {("CONNECT", url.removeprefix("https://"))})
            self.assertGreaterEqual(len({target for _, target in proxy.targets}), 2, "the storage host is asked through it too")
            before = len(proxy.targets)
            direct = subprocess.run(command + ["--local-dir", environment["HOME"] + "/direct"], capture_output=True, text=True,
                                    env=environment | {"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"})
            self.assertEqual((direct.returncode, len(proxy.targets)), (0, before), direct.stderr)
        finally:
            proxy.close()


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()

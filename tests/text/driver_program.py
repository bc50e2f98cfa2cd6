"""The driver program that answers for pippin."""

import json
import subprocess


class Driver:
    """tests/text/driver: one request a line, one answer a line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, do, **request):
        """{"answer": …} or {"error": message}."""
        self.process.stdin.write(json.dumps({"do": do, **request}, ensure_ascii=False).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

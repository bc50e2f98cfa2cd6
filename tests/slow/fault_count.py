"""The loop of tests that check many cases, each in a folder of its own."""

import tempfile
from pathlib import Path


def count_faults(names, check, noun):
    """check(name, folder) tells what is wrong, or nothing. Prints it and the count; gives the exit status."""
    faults = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            fault = check(name, Path(folder))
        if fault:
            faults += 1
            print(f"{name}: {fault}", flush=True)
    print(f"{len(names)} {noun}, {faults} faults")
    return 1 if faults else 0

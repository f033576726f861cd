"""Run every input and print the counts; exit 1 if one ended in another way than is allowed."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.everything import KINDS, all_cases
from tests.fuzz.outcomes import tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--times", type=int, default=1, help="as many inputs, times this")
    asked = parser.parse_args()
    begin = time.process_time()
    with tempfile.TemporaryDirectory(prefix="lsd-fuzz-") as folder:
        os.chdir(folder)
        os.environ |= {"LSD_HOME": f"{folder}/home", "LSD_CACHE": f"{folder}/cache", "COLUMNS": "200"}
        tally = tried(all_cases(Path(folder), asked.seed, asked.times, asked.kinds))
        os.chdir("/")
    print(*tally.lines(), *tally.faults, sep="\n")
    print(f"{tally.inputs} inputs in {time.process_time() - begin:.0f} s of processor time")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

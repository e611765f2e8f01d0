#!/usr/bin/env python3
"""Courier's cluster under faults: three courierd, three etcd, clients that keep books. README.md lists the tests.

Usage: cluster_test.py NAME [BIN_DIR]      BIN_DIR, or COURIER_BIN, is where courierd is
With COURIER_LONG=1 each runs several times.
"""

import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import anywhere  # noqa: E402
import bad_start  # noqa: E402
import drains  # noqa: E402
import faults_of_clocks  # noqa: E402
import faults_of_etcd  # noqa: E402
import faults_of_network  # noqa: E402
import faults_of_nodes  # noqa: E402
import front  # noqa: E402
import importing  # noqa: E402
import network  # noqa: E402
import repairs  # noqa: E402
import stage  # noqa: E402
import takeovers  # noqa: E402
import told  # noqa: E402

SKIPPED = 77
ROUNDS_LONG = 5
TESTS = {}
for module in (anywhere, faults_of_nodes, faults_of_etcd, faults_of_network, faults_of_clocks, repairs, takeovers,
               bad_start, drains, front, importing, told):
    TESTS.update({name[5:]: each for name, each in vars(module).items() if name.startswith("test_")})


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in TESTS:
        sys.exit(f"{__doc__}\nNAME is one of: {' '.join(TESTS)}")
    stage.Stage.bin_dir = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else os.environ["COURIER_BIN"]).resolve()
    for program in ("etcd", "etcdctl", "haproxy"):
        if not shutil.which(program):
            print(f"there is no {program} on this machine: tools/setup cluster test installs it; NOT TESTED")
            sys.exit(SKIPPED)
    for _ in range(ROUNDS_LONG if stage.LONG else 1):
        began = time.monotonic()
        try:
            TESTS[sys.argv[1]]()
        except network.Unavailable as unavailable:
            print(f"{unavailable}; NOT TESTED")
            sys.exit(SKIPPED)
        stage.say(f"{sys.argv[1]}: good, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Tests the tests: builds Courier with faults built in on purpose (preset sabotage, src/base/sabotage.h) and
requires the simulator and the crash test to catch each of them; and to find nothing when no fault is chosen.

Usage: sabotage.py
"""
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build" / "sabotage" / "bin"
TARGETS = ["sim", "crash", "courierd", "fault_courierd"]

SIM = ["sim", "--seeds=200"]
KILL = ["crash", "--rounds=5"]
POWER_CUT = ["crash", "--rounds=5", "--power-cut"]
# The simulator's disk is memory: it has no sync to leave out.
CAUGHT_BY = {
    "skip_sync": [POWER_CUT],
    "ack_before_commit": [SIM, KILL],
    "drop_qos2_state": [SIM, KILL],
    "swap_order": [SIM, KILL],
}


def build():
    environment = {**os.environ, "CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}
    for command in (["cmake", "--preset", "sabotage"],
                    ["cmake", "--build", "--preset", "sabotage", "--target", *TARGETS]):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def run(fault, command, expect_fault):
    """Whether the test said what it should."""
    program, *arguments = command
    arguments += ["--expect-fault"] if expect_fault else []
    began = time.monotonic()
    done = subprocess.run([BIN / program, *arguments], env={**os.environ, "COURIER_SABOTAGE": fault},
                          capture_output=True, text=True)
    right = done.returncode == 0
    verdict = ("caught" if right else "NOT CAUGHT") if expect_fault else ("quiet" if right else "NOT QUIET")
    print(f"{fault:<20} {' '.join([program, *arguments]):<45} {verdict:<11} {time.monotonic() - began:6.1f} s",
          flush=True)
    if not right:
        print(done.stdout[-6000:], done.stderr[-2000:], sep="\n")
    return right


def main():
    build()
    right = all([run("none", [*command[:1], few], False)
                 for command, few in ((SIM, "--seeds=20"), (KILL, "--rounds=2"))])
    for fault, commands in CAUGHT_BY.items():
        for command in commands:
            right = run(fault, command, True) and right
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()

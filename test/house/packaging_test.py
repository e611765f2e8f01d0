#!/usr/bin/env python3
"""packaging/: what cannot be run in a test is at least held against what was built.

Usage: packaging_test.py ROOT COURIERD
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = COURIERD = None


class Packaging(unittest.TestCase):
    def test_the_container_has_every_library_that_courierd_needs(self):
        dockerfile = (ROOT / "packaging/Dockerfile").read_text()
        installed = set(re.search(r"install -y --no-install-recommends (.*?)&&", dockerfile, re.S)[1]
                        .replace("\\\n", " ").split())
        # What each of them brings along, and what every Debian has.
        closure, waiting = {"libc6", "libgcc-s1", "libstdc++6"}, set(installed)
        while waiting:
            package = waiting.pop()
            closure.add(package)
            depends = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", package], capture_output=True, text=True)
            if package in installed:
                self.assertEqual(depends.returncode, 0, f"{package} is not a package of this Debian")
            # Of alternatives the first, which is what apt takes.
            first = (one.split("|")[0].strip() for one in depends.stdout.split(","))
            waiting |= {re.split(r"[ (:]", one)[0] for one in first if one} - closure
        needed = subprocess.run(["ldd", COURIERD], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"=> (/\S+)", needed):
            path = pathlib.Path(library).resolve()
            owner = ""
            for name in {library, str(path), str(path).removeprefix("/usr"), "/usr" + library}:
                found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
                owner = owner or found.stdout.split(":")[0]
            if re.match(r"lib(asan|ubsan|tsan)\d", owner):
                continue
            self.assertIn(owner, closure, f"{library} is not in the container")

    def test_the_container_copies_what_exists(self):
        dockerfile = (ROOT / "packaging/Dockerfile").read_text()
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M):
            for source in line.split()[:-1]:
                self.assertTrue((ROOT / source).exists(), source)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not here")
    def test_the_unit_is_understood_by_systemd(self):
        unit = (ROOT / "packaging/courierd.service").read_text()
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "courierd.service"
            copy.write_text(unit.replace("/usr/bin/courierd", str(COURIERD)))
            said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
        ours = [line for line in said.stderr.splitlines() if "courierd" in line]
        self.assertEqual(ours, [])

    def test_the_unit_waits_longer_than_a_drain_takes(self):
        unit = (ROOT / "packaging/courierd.service").read_text()
        sample = (ROOT / "packaging/courierd.toml").read_text()
        drain = int(re.search(r'drain_timeout = "(\d+)s"', sample)[1])
        self.assertGreater(int(re.search(r"TimeoutStopSec=(\d+)", unit)[1]), drain)


if __name__ == "__main__":
    ROOT, COURIERD = pathlib.Path(sys.argv.pop(1)), pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()

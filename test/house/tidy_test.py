#!/usr/bin/env python3
"""tools/tidy finds what it is there to find: a tidy tree passes, and each violation put into it is reported."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tool_module import load_tool  # noqa: E402

tidy = load_tool("tidy")

HEADER = "// What a thing is and who owns it, in a sentence or two.\n#pragma once\n"


def cmake_lists():
    return "".join(f"courier_folder({folder} DEPS {' '.join(deps)} LIBS some::library)\n"
                   for folder, deps in tidy.ALLOWED.items())


class Tidy(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.write("CMakeLists.txt", cmake_lists())
        self.write("README.md", "```\napps/        mains\napps/courierd/  the broker\nsrc/base/    words\n"
                   "src/mqtt/    wire\nsrc/store/   ports; memory/ rocksdb/\nsrc/broker/  the node\n```\n")
        for folder in ("base", "mqtt", "store", "store/memory", "store/rocksdb", "broker"):
            self.write(f"src/{folder}/README.md", "Purpose.\n")
            self.write(f"src/{folder}/thing.h", HEADER)
        self.write("apps/courierd/main.cc", '#include "store/rocksdb/thing.h"\n\nint main() {}\n')

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def finds(self, *expected):
        found = tidy.check(self.root)
        for part in expected:
            self.assertTrue(any(part in line for line in found), f"{part!r} is not among {found}")
        self.assertEqual(len(found), len(expected), found)

    def test_a_tidy_tree_has_no_violation(self):
        self.finds()

    def test_an_include_against_the_table_is_reported(self):
        self.write("src/mqtt/thing.cc", '#include "broker/thing.h"\n')
        self.finds("src/mqtt/thing.cc:1: src/mqtt may not include broker/thing.h")

    def test_an_adapter_is_chosen_in_apps_only(self):
        self.write("src/broker/thing.cc", '#include "store/memory/thing.h"\n')
        self.finds("src/broker/thing.cc:1: src/broker may not include store/memory/thing.h: only apps/")

    def test_a_unit_test_may_use_an_adapter(self):
        self.write("src/broker/thing_test.cc", '#include "store/memory/thing.h"\n')
        self.finds()

    def test_an_adapter_may_include_what_its_port_may(self):
        self.write("src/store/memory/thing.cc", '#include "mqtt/thing.h"\n#include "store/thing.h"\n')
        self.finds()

    def test_an_include_not_named_from_src_is_reported(self):
        self.write("src/mqtt/thing.cc", '#include "thing.h"\n')
        self.finds("src/mqtt/thing.cc:1: \"thing.h\": our own headers are named from src/")

    def test_a_clock_in_a_pure_folder_is_reported(self):
        self.write("src/mqtt/thing.cc", "#include <chrono>\n")
        self.finds("src/mqtt is sans-I/O")

    def test_a_library_stays_behind_its_door(self):
        self.write("src/broker/thing.cc", "#include <rocksdb/db.h>\n")
        self.finds("rocksdb/db.h is for src/store/rocksdb only")

    def test_the_table_must_agree_with_cmake(self):
        self.write("CMakeLists.txt", cmake_lists().replace("courier_folder(mqtt DEPS base",
                                                           "courier_folder(mqtt DEPS base net"))
        self.finds("mqtt has DEPS ['base', 'net'], the table of allowed includes says ['base']")

    def test_a_folder_outside_the_house_is_reported(self):
        self.write("CMakeLists.txt", cmake_lists() + "courier_folder(attic DEPS base)\n")
        self.finds("attic is not in the table of allowed includes")

    def test_a_cycle_in_the_table_is_reported(self):
        allowed = dict(tidy.ALLOWED)
        self.addCleanup(tidy.ALLOWED.update, allowed)
        tidy.ALLOWED["base"] = ["mqtt"]
        self.assertTrue(any("cycle through base" in line for line in tidy.check(self.root)))

    def test_the_map_must_name_every_folder(self):
        self.write("src/net/README.md", "Purpose.\n")
        self.finds("the folder map does not mention src/net/")

    def test_the_map_must_not_name_other_folders(self):
        self.write("README.md", (self.root / "README.md").read_text() + "src/attic/   old things\n")
        self.finds("the folder map mentions src/attic/, which is not there")

    def test_a_folder_without_readme_is_reported(self):
        (self.root / "src/mqtt/README.md").unlink()
        self.finds("src/mqtt/README.md:0: missing")

    def test_a_long_file_is_reported(self):
        self.write("src/mqtt/thing.cc", "\n" * 801)
        found = tidy.check(self.root)
        self.assertTrue(any("801 lines" in line for line in found), found)

    def test_unfinished_work_is_reported(self):
        self.write("src/mqtt/thing.cc", "// TO" + "DO: later\n")
        self.finds("src/mqtt/thing.cc:1: TO" + "DO")

    def test_a_drawer_is_reported(self):
        self.write("src/mqtt/string_utils.cc", "\n")
        self.finds("src/mqtt/string_utils.cc:1: a file is named after its idea")

    def test_a_bare_header_is_reported(self):
        self.write("src/mqtt/thing.h", "// Things.\n")
        self.finds("no #pragma once", "a header opens with prose")

    def test_an_exception_of_ours_is_reported_but_a_word_in_a_comment_is_not(self):
        self.write("src/mqtt/thing.cc", '// we never throw\nconst char* kText = "throw";\nvoid f() { throw 1; }\n')
        self.finds("src/mqtt/thing.cc:3: nothing of ours throws")


if __name__ == "__main__":
    unittest.main()

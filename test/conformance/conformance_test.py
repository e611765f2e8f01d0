#!/usr/bin/env python3
"""tools/conformance notices a clause without a test, a tag without a clause and a document out of date."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "conformance"
CLAUSES = "MQTT-1.0.0-1\tserver\tAnswers\nMQTT-1.0.0-2\tclient\tAsks\nMQTT3-1.0.0-3\tboth\tSings\tnobody sings\n"
TESTS = "// [MQTT-1.0.0-1]\nTEST(Chapter, SaysSo) {\n}\n"


class Conformance(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.write("test/conformance/clauses.tsv", CLAUSES)
        self.write("test/scenario/chapter/chapter_test.cc", TESTS)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_tool(self, *arguments):
        return subprocess.run([sys.executable, str(TOOL), "--root", str(self.root), *arguments],
                              capture_output=True, text=True, check=False)

    def fails_with(self, part, *arguments):
        run = self.run_tool(*arguments)
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn(part, run.stdout + run.stderr)

    def test_a_kept_specification_is_written_and_then_up_to_date(self):
        self.assertEqual(self.run_tool().returncode, 0)
        self.assertEqual(self.run_tool("--check").returncode, 0)
        text = (self.root / "docs/protocol/conformance.md").read_text()
        self.assertIn("| MQTT-1.0.0-1 | server | Answers | Chapter.SaysSo |", text)
        self.assertIn("| MQTT3-1.0.0-3 | Sings | nobody sings |", text)

    def test_a_server_clause_without_test_or_reason_fails(self):
        self.write("test/scenario/chapter/chapter_test.cc", "TEST(Chapter, SaysSo) {\n}\n")
        self.fails_with("MQTT-1.0.0-1 (Answers) binds a server and has neither a test nor a reason")

    def test_a_tag_that_names_no_clause_fails(self):
        self.write("test/scenario/chapter/chapter_test.cc", TESTS + "// [MQTT-9.9.9-9]\n")
        self.fails_with("chapter_test.cc:4: MQTT-9.9.9-9 is not in clauses.tsv")

    def test_a_test_beside_a_reason_fails(self):
        self.write("test/scenario/chapter/chapter_test.cc", TESTS + "// [MQTT3-1.0.0-3]\nTEST(Chapter, Sings) {\n}\n")
        self.fails_with("MQTT3-1.0.0-3 has a test and a reason")

    def test_a_document_out_of_date_fails(self):
        self.run_tool()
        self.write("test/scenario/chapter/chapter_test.cc", TESTS + "// [MQTT-1.0.0-2]\nTEST(Chapter, Asks) {\n}\n")
        self.fails_with("not up to date", "--check")

    def test_a_clause_listed_twice_fails(self):
        self.write("test/conformance/clauses.tsv", CLAUSES + "MQTT-1.0.0-1\tserver\tAgain\n")
        self.fails_with("clauses.tsv:4")


if __name__ == "__main__":
    unittest.main()

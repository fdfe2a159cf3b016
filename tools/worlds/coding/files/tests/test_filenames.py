import unittest

from tally.filenames import extension


class ExtensionTest(unittest.TestCase):
    def test_only_the_last_dot_counts(self):
        self.assertEqual(extension("report.2024.PDF"), "pdf")

    def test_no_dot(self):
        self.assertEqual(extension("Makefile"), "")

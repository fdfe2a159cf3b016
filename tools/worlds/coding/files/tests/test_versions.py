import unittest

from tally.versions import is_newer, numbers_of


class VersionTest(unittest.TestCase):
    def test_ten_is_newer_than_nine(self):
        self.assertTrue(is_newer("1.10.0", "1.9.3"))

    def test_the_same_version_is_not_newer(self):
        self.assertFalse(is_newer("2.0.0", "2.0.0"))

    def test_numbers(self):
        self.assertEqual(numbers_of("1.10.2"), (1, 10, 2))

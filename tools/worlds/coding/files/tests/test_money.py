import unittest

from tally.money import format_cents, split_evenly


class MoneyTest(unittest.TestCase):
    def test_no_cent_is_lost(self):
        self.assertEqual(split_evenly(100, 3), [34, 33, 33])

    def test_even_split(self):
        self.assertEqual(split_evenly(90, 3), [30, 30, 30])

    def test_format(self):
        self.assertEqual(format_cents(12345), "123.45")

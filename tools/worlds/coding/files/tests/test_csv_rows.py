import unittest

from tally.csv_rows import join_row, split_row


class RowTest(unittest.TestCase):
    def test_a_quoted_field_may_hold_a_comma(self):
        self.assertEqual(split_row('1,"Paris, France",x'), ["1", "Paris, France", "x"])

    def test_plain_fields(self):
        self.assertEqual(split_row("a,b"), ["a", "b"])

    def test_join(self):
        self.assertEqual(join_row(["1", "a,b"]), '1,"a,b"')

import unittest

from tally.ranges import merge_ranges


class RangeTest(unittest.TestCase):
    def test_touching_ranges_become_one(self):
        self.assertEqual(merge_ranges([(5, 9), (1, 5)]), [(1, 9)])

    def test_a_gap_is_kept(self):
        self.assertEqual(merge_ranges([(1, 2), (4, 6)]), [(1, 2), (4, 6)])

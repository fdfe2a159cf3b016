import unittest

from tally.averages import mean, median


class AverageTest(unittest.TestCase):
    def test_median_of_three(self):
        self.assertEqual(median([9, 1, 5]), 5)

    def test_median_of_four(self):
        self.assertEqual(median([1, 2, 4, 9]), 3)

    def test_mean(self):
        self.assertEqual(mean([1, 2, 6]), 3)

import unittest
from datetime import date

from tally.calendar_months import add_months


class MonthsTest(unittest.TestCase):
    def test_end_of_january_becomes_end_of_february(self):
        self.assertEqual(add_months(date(2024, 1, 31), 1), date(2024, 2, 29))

    def test_a_day_that_exists_is_kept(self):
        self.assertEqual(add_months(date(2024, 3, 15), 10), date(2025, 1, 15))

import unittest

from tally.durations import format_duration, parse_duration


class DurationTest(unittest.TestCase):
    def test_one_unit(self):
        self.assertEqual(parse_duration("45m"), 2700)

    def test_several_units_add_up(self):
        self.assertEqual(parse_duration("1h 30m"), 5400)

    def test_format(self):
        self.assertEqual(format_duration(5400), "1h 30m")

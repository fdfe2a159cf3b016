import unittest

from tally.roman import from_roman


class RomanTest(unittest.TestCase):
    def test_equal_letters_add_up(self):
        self.assertEqual(from_roman("XXIII"), 23)

    def test_a_smaller_letter_before_is_taken_off(self):
        self.assertEqual(from_roman("XC"), 90)

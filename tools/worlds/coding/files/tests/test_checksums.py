import unittest

from tally.checksums import luhn_is_valid


class LuhnTest(unittest.TestCase):
    def test_a_number_of_even_length(self):
        self.assertTrue(luhn_is_valid("4539578763621486"))

    def test_a_wrong_digit(self):
        self.assertFalse(luhn_is_valid("79927398710"))

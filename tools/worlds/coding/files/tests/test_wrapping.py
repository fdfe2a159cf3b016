import unittest

from tally.wrapping import wrap_words


class WrapTest(unittest.TestCase):
    def test_the_space_between_words_counts(self):
        self.assertEqual(wrap_words("aaa bbb ccc", 6), ["aaa", "bbb", "ccc"])

    def test_a_line_may_be_full(self):
        self.assertEqual(wrap_words("aaa bbb ccc", 7), ["aaa bbb", "ccc"])

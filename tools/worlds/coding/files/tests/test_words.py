import unittest

from tally.words import top_words


class WordsTest(unittest.TestCase):
    def test_ties_follow_the_alphabet(self):
        self.assertEqual(top_words("pear fig fig apple pear kiwi", 3), ["fig", "pear", "apple"])

    def test_most_frequent_first(self):
        self.assertEqual(top_words("b a b", 2), ["b", "a"])

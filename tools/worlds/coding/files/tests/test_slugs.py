import unittest

from tally.slugs import slugify


class SlugTest(unittest.TestCase):
    def test_accented_letters_keep_their_letter(self):
        self.assertEqual(slugify("Crème brûlée"), "creme-brulee")

    def test_punctuation_becomes_one_hyphen(self):
        self.assertEqual(slugify("Hello, world!"), "hello-world")

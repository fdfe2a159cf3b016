import unittest

from tally.paging import page_count, page_of


class PagingTest(unittest.TestCase):
    def test_a_short_last_page_counts(self):
        self.assertEqual(page_count(101, 25), 5)

    def test_full_pages(self):
        self.assertEqual(page_count(100, 25), 4)

    def test_page_of(self):
        self.assertEqual(page_of(["a", "b", "c"], 2, 2), ["c"])

import unittest

from tally.recent import RecentCache


class RecentCacheTest(unittest.TestCase):
    def test_a_used_entry_outlives_an_unused_one(self):
        cache = RecentCache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        self.assertEqual((cache.get("a"), cache.get("b")), (1, None))

    def test_the_oldest_entry_goes_first(self):
        cache = RecentCache(1)
        cache.put("a", 1)
        cache.put("b", 2)
        self.assertIsNone(cache.get("a"))

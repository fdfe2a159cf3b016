"""What a process keeps: bounded by number and by size, what was used last stays."""

from speculation.shelf import Shelf


def test_what_was_used_last_stays_and_the_rest_goes_by_number_and_by_size():
    shelf: Shelf[str, int] = Shelf(most_things=3, most_bytes=100)
    for name in "abc":
        shelf.put(name, ord(name), 10)
    assert shelf.get("a") == 97
    shelf.put("d", 100, 10)
    assert (len(shelf), shelf.get("b"), shelf.get("a")) == (3, None, 97)
    shelf.put("e", 101, 85)
    assert (len(shelf), shelf.size_bytes, shelf.get("d"), shelf.get("a")) == (2, 95, None, 97)


def test_the_newest_stays_whatever_its_size_and_replaces_what_went_by_its_name():
    shelf: Shelf[str, str] = Shelf(most_things=3, most_bytes=100)
    shelf.put("a", "first", 10)
    shelf.put("a", "second", 500)
    assert (shelf.get("a"), len(shelf), shelf.size_bytes) == ("second", 1, 500)
    shelf.put("b", "third", 1)
    assert (shelf.get("a"), shelf.get("b")) == (None, "third")


def test_what_is_taken_is_gone_for_everybody_else():
    shelf: Shelf[str, str] = Shelf(most_things=3, most_bytes=100)
    shelf.put("a", "alone", 10)
    assert (shelf.take("a"), shelf.take("a"), len(shelf)) == ("alone", None, 0)

"""A guess tells an outside party nothing that the session has not exchanged with it before."""

from speculation.exchanged import MOST_CHARACTERS, Exchanged


def test_only_what_went_to_a_server_or_came_from_it_is_known_there() -> None:
    exchanged = Exchanged()
    exchanged.hear("library", {"query": "reactors"}, {"hits": [{"url": "https://library.example/a", "rank": 2}]})
    assert exchanged.knows("library", {"url": "https://library.example/a"})
    assert exchanged.knows("library", {"query": "reactors", "rank": 2, "deep": True, "after": None})
    assert not exchanged.knows("library", {"url": "https://library.example/b"})
    assert not exchanged.knows("crm", {"query": "reactors"})


def test_a_value_inside_of_a_text_counts_and_one_of_many_that_is_new_does_not() -> None:
    exchanged = Exchanged()
    exchanged.hear("library", {}, "See https://library.example/a and order W77.")
    assert exchanged.knows("library", {"order": "W77"})
    assert not exchanged.knows("library", {"order": "W77", "note": "secret"})
    assert not exchanged.knows("library", {"filters": [{"order": "W78"}]})


def test_a_call_that_tells_nothing_is_known_and_what_does_not_fit_is_not() -> None:
    exchanged = Exchanged()
    assert exchanged.knows("library", {"all": True})
    exchanged.hear("library", {}, "x" * (MOST_CHARACTERS + 1))
    assert not exchanged.knows("library", {"text": "xx"})


def test_a_path_is_known_where_its_directory_and_its_name_were_exchanged() -> None:
    exchanged = Exchanged()
    exchanged.hear("files", {"path": "/srv/notes/may"}, "[DIR] old\n[FILE] plan.md\n[FILE] b.txt")
    assert exchanged.knows("files", {"path": "/srv/notes/may/plan.md"})
    assert exchanged.knows("files", {"path": "/srv/notes/plan.md"}), "that directory was named too"
    for unknown in (
        "/srv/notes/may/lan.md",
        "/srv/notes/may/plan.m",
        "/srv/notes/may/old",
        "/srv/notes/june/plan.md",
        "/srv/note/plan.md",
        "/notes/may/plan.md",
        "/home/me/plan.md",
        "plan.md/secret",
        "https://library.example/plan.md",
    ):
        assert not exchanged.knows("files", {"path": unknown}), unknown
    assert not exchanged.knows("crm", {"path": "/srv/notes/may/plan.md"})

"""HTML as a model reads it."""

import time

import pytest

from tools.page_text import MAX_LINKS, read_page


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p>\n<p>two", "one\n\ntwo"),
        ("<head><title>t</title><style>p{}</style><p>no body tag", "no body tag"),
        ("a<script>if (a < b) { x('<p>') }</script>b<script/>c", "abc"),
        ("<pre>def f():\n    pass</pre> a\nb", "def f():\npass\na b"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "| a | b\n| 1 | 2"),
        ("<svg><title>icon</title><text>x</text></svg>&lt;b&gt; &#228;", "<b> ä"),
        ("<!-- <p>no --><?php no ?><!doctype html>yes", "yes"),
        ("1 < 2 <3 a<b", "1 < 2 <3 a"),
        ("<p title='a > b' data-x=\"c > d\">e", "e"),
        ("<p title='never closed>text</p>more", "text\nmore"),
        ("<SCRIPT>x</Script >shown", "shown"),
        ("", ""),
    ],
)
def test_text_is_what_a_reader_would_see(html: str, text: str) -> None:
    assert read_page(html, "http://a.example/").text == text


def test_links_are_absolute_and_each_listed_once() -> None:
    html = '<a class=x HREF=b?x=1#y>B</a> <a href="/a/b?x=1"> again</a> <a href="mailto:x@y.z">m</a> <a>n</a> <a href="http://[">o</a>'
    assert read_page(html, "http://a.example/a/").links == [{"text": "B again", "url": "http://a.example/a/b?x=1"}]
    many = "".join(f"<a href='/{n}'>{n}</a>" for n in range(1000))
    assert len(read_page(many, "http://a.example/").links) == MAX_LINKS


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a ",
        "<",
        "<a href='",
        "</",
        "<![CDATA[",
        "<!",
        "<svg>",
        "<script>",
        "<a href='/x'>y",
        " \n",
        "<a title=\"'",
        "</style>",
        "&",
    ],
)
def test_a_hostile_page_takes_no_longer_than_any_other(piece: str) -> None:
    began_at = time.monotonic()
    read_page(piece * (300_000 // len(piece)), "http://a.example/")
    assert time.monotonic() - began_at < 5


def test_the_title_is_no_part_of_the_text() -> None:
    page = read_page("<title>One &amp;\n two</title>three", "http://a.example/")
    assert (page.title, page.text) == ("One & two", "three")

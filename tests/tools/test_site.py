"""The demo's library is a real web site whose pages say what its documents say."""

import json

import httpx

from tools.page_text import read_page
from tools.world import TEMPLATES
from tools.worlds.site import serve

DOCUMENTS = json.loads((TEMPLATES / "research" / "documents.json").read_text())


def test_every_document_is_a_page_with_the_same_text() -> None:
    server, url = serve(0)
    with server, httpx.Client(trust_env=False) as client:
        for document in DOCUMENTS:
            address = document["url"].replace("{library}", url)
            page = read_page(client.get(address).raise_for_status().text, address)
            assert page.title == document["title"]
            assert document["body"] in page.text.replace("\n\n", " ").replace("\n", " ")
        server.shutdown()
    assert len(DOCUMENTS) >= 40


def test_every_link_of_a_page_leads_to_another_page() -> None:
    server, url = serve(0)
    with server, httpx.Client(trust_env=False) as client:
        index = read_page(client.get(f"{url}/").text, f"{url}/")
        assert len(index.links) == len(DOCUMENTS)
        for link in index.links:
            page = read_page(client.get(link["url"]).text, link["url"])
            assert page.links
            assert {each["url"] for each in page.links} <= {each["url"] for each in index.links} - {link["url"]}
        server.shutdown()

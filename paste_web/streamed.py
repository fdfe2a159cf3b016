"""Answers that are sent while they are made, by a server of either kind: one that waits, and one that does not."""

from collections.abc import AsyncIterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

PIECES_A_PART = 200


class Streamed(StreamingHttpResponse):
    """Made from a plain iterator of text.

    Django's own answer would read all of it before the first byte leaves an asynchronous server, and warn of that. Here
    each part is read in the request's own thread, which holds its database connection.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self.streaming_content)
        while part := await sync_to_async(lambda: b"".join(islice(pieces, PIECES_A_PART)))():
            yield part

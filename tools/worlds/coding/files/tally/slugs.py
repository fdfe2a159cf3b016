"""Names for addresses of pages."""

import re
import unicodedata


def slugify(title: str) -> str:
    """Lower case, plain letters, hyphens: accents are dropped, their letters kept."""
    plain = unicodedata.normalize("NFC", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")

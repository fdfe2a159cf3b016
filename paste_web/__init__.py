"""Shows and is spoken to: settings, pages, admin entry, HTTP API, websockets."""

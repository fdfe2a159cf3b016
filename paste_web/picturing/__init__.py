"""Pictures of every page: a made-up installation, a database of its own for it, and a browser that looks at both."""

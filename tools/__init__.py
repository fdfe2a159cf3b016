"""Tools act: they touch the world and know nothing of sessions, jobs or speculation."""

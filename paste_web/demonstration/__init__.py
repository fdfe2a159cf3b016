"""The demonstration: three scripted agents on real tools, in pairs of sessions with and without speculation."""

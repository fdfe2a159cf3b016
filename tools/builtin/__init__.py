"""One small file a tool. To add one, copy the nearest neighbour and name it in tools/catalog.py."""

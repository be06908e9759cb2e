"""The metrics' entry; everything else has a room of its own."""

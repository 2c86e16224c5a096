"""How to reach an app: one connector a folder, all behind one protocol."""

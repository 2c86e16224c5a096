"""Dead letter topics of other programs: their messages as entries, and back to where they came from."""

"""The sink's store on the command line: what `instep errors …` prints and asks."""

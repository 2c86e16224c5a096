"""`python -m instep`: the command line, where the script `instep` is not on the path."""

from instep.main import main

main()

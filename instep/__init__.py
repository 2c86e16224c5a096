"""The command line of Instep: one file a command group."""

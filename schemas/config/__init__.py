"""The configuration file: its model, how text becomes it, and the pages made from it. Pure: opens nothing."""

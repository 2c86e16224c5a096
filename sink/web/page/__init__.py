"""The pages for people, rendered here, without need of a script."""

"""`calyx new NAME`: an installable package with a task of the user's own."""

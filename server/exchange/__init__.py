"""One question to one cohort: who is asked, what is sent, and what came of it."""

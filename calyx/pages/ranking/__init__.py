"""Which of several settings is best, for leaderboard, search and comparison alike; nothing is drawn."""

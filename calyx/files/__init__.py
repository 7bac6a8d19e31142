"""The one reader and the one writer of files, and folders that somebody else may have made."""

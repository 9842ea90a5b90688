"""What variants do to scores, how unusual that is, and the files and pictures of it."""

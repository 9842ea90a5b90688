"""Scores along contigs, the calls out of them, and the files and pictures of both."""

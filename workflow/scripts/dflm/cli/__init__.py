"""The command line: what a trained classifier is for, without the workflow."""

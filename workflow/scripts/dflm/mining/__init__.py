"""What a trained classifier is for: scores along sequences, what it reads, what variants do."""

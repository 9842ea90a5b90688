"""What a classifier has learnt: motifs found, compared with a database, located and shown."""

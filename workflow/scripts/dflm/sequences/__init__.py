"""DNA in: FASTA, ChIP-seq sequence sets, k-mers, shuffles and splits. Knows no torch."""

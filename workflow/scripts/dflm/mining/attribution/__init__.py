"""Which bases a score rests on: gradients, mutagenesis, and the files and pictures of both."""

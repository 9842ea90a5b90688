"""DFLM: a genome language model, fine-tuned per transcription factor."""

__version__ = "0.1.0"

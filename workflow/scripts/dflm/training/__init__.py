"""Turning sequences into trained models."""

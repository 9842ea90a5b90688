"""The network: layers, language model, classifier, losses, and their files."""

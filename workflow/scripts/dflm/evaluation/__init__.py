"""Numbers and pictures: metrics, the floor, plots, the summary."""

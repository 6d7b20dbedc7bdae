"""Images, labels and folds: NumPy only."""

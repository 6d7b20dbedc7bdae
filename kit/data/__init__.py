"""Files nobody vouches for -> images, labels and folds. Packages but NumPy are imported where they are used."""

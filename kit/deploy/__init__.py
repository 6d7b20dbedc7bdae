"""From trained weights to a file that predicts, and from its probabilities to a submission."""

"""From labelled images and a recipe to trained weights."""

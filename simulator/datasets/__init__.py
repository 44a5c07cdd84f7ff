"""Known public data sets: recipes that turn the downloaded files into training and evaluation input."""

"""Recipes: the commands that train the networks in the package, with the data they need; see README.md."""

"""What a training is asked for: the fields of a recipe with their limits, the named recipes, the named studies. Data only."""

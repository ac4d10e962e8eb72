"""Training together without moving data: plans, recipes, data sets and runs, with Flower's strategies."""

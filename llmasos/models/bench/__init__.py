"""What a model can be trusted with, measured with the project's own requests."""

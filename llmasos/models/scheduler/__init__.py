"""The scheduler: who is served next, and which models are resident."""

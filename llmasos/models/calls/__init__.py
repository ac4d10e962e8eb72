"""Call syntax: how small models are shown tools and call them."""

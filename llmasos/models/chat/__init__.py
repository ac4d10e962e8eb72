"""Chats: what programs say to models, and hear from them."""

"""Devices: whose memory models share."""

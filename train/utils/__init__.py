"""Metrics, gate, checkpoints, logging: each its own module."""

"""Backbones and what conditions them. Modules import torch: import them where they are used."""

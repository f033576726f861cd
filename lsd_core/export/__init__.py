"""Exports of a sampler: diffusers scheduler, plain JSON, Hugging Face hub."""

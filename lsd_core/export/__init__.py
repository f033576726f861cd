"""Exports of a sampler: diffusers scheduler, plain JSON, configurations of serving engines, Hugging Face hub."""

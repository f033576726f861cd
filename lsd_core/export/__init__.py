"""Ways out: a sampler as a diffusers scheduler, as plain JSON, and on the Hugging Face hub."""

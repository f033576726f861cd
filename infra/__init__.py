"""What the product runs on: servers for this machine, images, clusters. Nothing of ours imports it but tests."""

"""What `make bench` measures; README.md says how, and what came out last."""

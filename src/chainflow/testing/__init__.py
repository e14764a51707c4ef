"""What tests need to meet the real thing: nodes on loopback."""

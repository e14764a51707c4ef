"""What nodes say, as typed structs: one module per family."""

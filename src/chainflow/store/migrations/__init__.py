"""The control schema's history, run by `database.upgrade`."""

HEAD = "0006"
"""The revision this release works with: the newest in `versions`."""

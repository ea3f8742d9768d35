"""What the controller decides about each request: one file per kind."""

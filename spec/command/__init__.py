"""The command line of the formal models: one verb for each checker, and what each says."""

"""What a broker does about each event: one file per kind of request or message."""

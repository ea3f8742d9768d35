"""The suite: one test text for the reference in virtual time and for any broker on a socket."""

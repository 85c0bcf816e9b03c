"""One table, whatever it is written as."""

"""How results read: frames, tables, figures, and published numbers beside measured ones."""

"""The report as one page: a self-contained HTML file made from a store's records."""

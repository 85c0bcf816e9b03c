"""Tables of networks: leaderboards, the papers' own tables, statistics, one's own row."""

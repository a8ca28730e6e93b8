"""From survey tables to one catalogue: selection, grouping by object, split, shard plan."""

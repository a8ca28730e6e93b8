"""WebDataset shards: pictures, flux arrays and labels of spectra."""

from specvit.shards.index import write_index
from specvit.shards.make import ShardJob, make_shard, make_shards

__all__ = ["ShardJob", "make_shard", "make_shards", "write_index"]

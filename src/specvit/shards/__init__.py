"""WebDataset shards: pictures, flux arrays and labels of spectra."""

from specvit.shards.make import ShardJob, make_shard, make_shards
from specvit.shards.summary import write_summary

__all__ = ["ShardJob", "make_shard", "make_shards", "write_summary"]

"""Spectra and catalogue files from the surveys' servers, from folders, or simulated."""

from specvit.download.files import fetch_file
from specvit.download.lists import write_list
from specvit.download.shard import download_shard, download_shards
from specvit.download.token import survey_token

__all__ = ["download_shard", "download_shards", "fetch_file", "survey_token", "write_list"]

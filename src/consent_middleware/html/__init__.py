"""Putting our markup into a page's bytes on their way out, without taking the page apart."""

from consent_middleware.html.injector import Injector, Snippets, insert_whole
from consent_middleware.html.transcode import GzipTranscoder

__all__ = ["GzipTranscoder", "Injector", "Snippets", "insert_whole"]

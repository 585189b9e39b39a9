"""Putting our markup into a page's bytes on their way out, without taking the page apart."""

from consent_middleware.html.injector import Injector
from consent_middleware.html.transcode import GzipTranscoder
from consent_middleware.html.whole import Snippets, insert_whole

__all__ = ["GzipTranscoder", "Injector", "Snippets", "insert_whole"]

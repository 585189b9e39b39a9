"""What is done to a page's bytes on their way out, without taking the page apart: held tags, our markup."""

from consent_middleware.html.chain import Chain
from consent_middleware.html.injector import Injector
from consent_middleware.html.rewriter import FETCHED, Rewriter
from consent_middleware.html.transcode import GzipTranscoder
from consent_middleware.html.whole import Snippets, insert_whole

__all__ = ["FETCHED", "Chain", "GzipTranscoder", "Injector", "Rewriter", "Snippets", "insert_whole"]

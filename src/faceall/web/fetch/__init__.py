"""SSRF-safe download of images from URLs that clients send.

`fetcher` has `Fetcher`, `urls` parses and checks a URL, `addresses` decides which IP addresses are public.
"""

from faceall.web.fetch.fetcher import Fetched, Fetcher, FetchLimits

__all__ = ["FetchLimits", "Fetched", "Fetcher"]

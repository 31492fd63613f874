"""The web app: pages for people, an API for programs, on the gallery that the command line uses.

Flask is imported in this room only; the extra `faceall[web]` brings it.
"""

from faceall.web.options import ServerOptions

__all__ = ["ServerOptions"]

"""The web app: HTML pages and a JSON API on a gallery. Flask and waitress come with the extra `faceall[web]`.

=============  ==============================================================
`app`          `create_app`, `close_app`
`server`       `serve`, the app under waitress
`api`          the JSON API
`pages`        the HTML pages, with `templates`, `static` and `texts`
`openapi`      the OpenAPI document of the API
`security`     keys, sessions, request checks, limits
`fetch`        SSRF-safe download of images
`work`         registration jobs, uploads, batching
`serializers`  records of the gallery as JSON
`registrar`    registers the photos of a job in the gallery
=============  ==============================================================
"""

from faceall.web.app import close_app, create_app
from faceall.web.options import ServerOptions
from faceall.web.security.keys import Keys
from faceall.web.server import serve

__all__ = ["Keys", "ServerOptions", "close_app", "create_app", "serve"]

"""The web app, served."""

from __future__ import annotations

from pathlib import Path

import click

from faceall_cli.console import Console
from faceall_cli.options import gallery_option, model_option, output_options
from faceall_cli.photos import make_embedder


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@model_option
@gallery_option
@output_options
def serve(console: Console, host: str, port: int, model: str | None, gallery: Path | None) -> None:
    """Serve the web app: pages to register and retrieve faces, and an API under /api/v1.

    It runs until Ctrl-C or a SIGTERM, and finishes what it has accepted then. The command line may use the same
    gallery meanwhile.
    """
    try:
        from faceall.web.server import serve as serve_gallery
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "waitress", "werkzeug"):
            raise
        raise click.ClickException("the web app needs Flask and waitress: pip install 'faceall[web]'") from error
    from faceall.web import ServerOptions

    options = ServerOptions(host=host, port=port)
    serve_gallery(gallery, options, embedder=make_embedder(model), announce=console.remark)

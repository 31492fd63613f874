"""The web app, served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.commands.gallery.photos import make_embedder
from faceall_cli.console import Console
from faceall_cli.options import gallery_option, model_option, output_options

if TYPE_CHECKING:
    from faceall.web.security.keys import Keys


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option("--allowed-host", multiple=True, metavar="NAME", help="A further name by which the server is called.")
@click.option("--create-key", is_flag=True, help="Make an API key, show it this once, and end.")
@click.option("--label", default="", metavar="TEXT", help="Whose key it is, for --create-key.")
@click.option("--list-keys", is_flag=True, help="Show the ids and labels of the API keys, and end.")
@click.option("--revoke-key", metavar="ID", help="Take an API key back, and end.")
@model_option
@gallery_option
@output_options
def serve(
    console: Console,
    host: str,
    port: int,
    allowed_host: tuple[str, ...],
    create_key: bool,
    label: str,
    list_keys: bool,
    revoke_key: str | None,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Serve the web app: pages to register and retrieve faces, and an API under /api/v1.

    It runs until Ctrl-C or a SIGTERM, and finishes what it has accepted then. The command line may use the same
    gallery meanwhile. Beyond this machine (--host) it asks everybody for an API key, and on this machine too once the
    gallery has one: programs send "Authorization: Bearer KEY", browsers get a page that takes it.
    """
    from faceall.gallery import default_place, folder_of

    if create_key or list_keys or revoke_key:
        from faceall.web.security.keys import KEYS_FILE, Keys

        _manage_keys(console, Keys(folder_of(gallery or default_place()) / KEYS_FILE), create_key, label, revoke_key)
        return
    try:
        from faceall.web.server import serve as serve_gallery
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "prometheus_client", "waitress", "werkzeug"):
            raise
        raise click.ClickException("the web app needs Flask and waitress: pip install 'faceall[web]'") from error
    from faceall.web import ServerOptions

    options = ServerOptions(host=host, port=port, allowed_hosts=allowed_host)
    serve_gallery(gallery, options, embedder=make_embedder(model), announce=console.remark)


def _manage_keys(console: Console, keys: Keys, create: bool, label: str, revoke: str | None) -> None:
    """Make a key, take one back, or list them."""
    if create:
        text = keys.create(label)
        console.remark("This key is shown only now; who has it can see and change everything in the gallery:")
        console.line(text)
        console.record({"key": text})
    elif revoke:
        gone = keys.revoke(revoke)
        console.remark(f"revoked the key {gone.id}")
        console.record({"id": gone.id, "label": gone.label})
    else:
        console.table((key.id, key.created, key.label) for key in keys.all)
        for key in keys.all:
            console.record({"id": key.id, "created": key.created, "label": key.label})

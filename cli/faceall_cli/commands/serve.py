"""`faceall serve`: the web app and its API keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceall_cli.console import Console
from faceall_cli.memory import share_memory_between_threads
from faceall_cli.options import gallery_option, make_embedder, model_option, output_options

if TYPE_CHECKING:
    from faceall.web import Keys


_DEPENDENCIES = ("flask", "prometheus_client", "waitress", "werkzeug")


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on. Default: this machine only."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0: any free port.")
@click.option("--allowed-host", multiple=True, metavar="NAME", help="Additional host name of the server.")
@click.option("--behind-proxy", is_flag=True, help="Trust the X-Forwarded headers of a reverse proxy.")
@click.option("--root-path", default="", metavar="PATH", help="Serve the app below a path, for example /faces.")
@click.option("--allow-origin", multiple=True, metavar="URL", help="Website whose scripts may use the API (CORS).")
@click.option("--create-key", is_flag=True, help="Create an API key, print it once, and exit.")
@click.option("--label", default="", metavar="TEXT", help="Description of the key, with --create-key.")
@click.option("--list-keys", is_flag=True, help="List the API keys, and exit.")
@click.option("--revoke-key", metavar="ID", help="Revoke an API key, and exit.")
@model_option
@gallery_option
@output_options
def serve(
    console: Console,
    host: str,
    port: int,
    allowed_host: tuple[str, ...],
    behind_proxy: bool,
    root_path: str,
    allow_origin: tuple[str, ...],
    create_key: bool,
    label: str,
    list_keys: bool,
    revoke_key: str | None,
    model: str | None,
    gallery: Path | None,
) -> None:
    """Start the web app and the JSON API (/api/v1).

    Ctrl-C or SIGTERM stops the server after accepted work is finished. The command line can use the same gallery
    meanwhile. An API key is required if other machines can reach the server (--host), or if the gallery has a key:
    programs send "Authorization: Bearer KEY", browsers show a sign-in page.
    """
    try:
        from faceall.web import Keys, ServerOptions
        from faceall.web import serve as serve_gallery
    except ModuleNotFoundError as error:
        if error.name not in _DEPENDENCIES:
            raise
        raise click.ClickException("the web app needs Flask and waitress: pip install 'faceall[web]'") from error

    if create_key or list_keys or revoke_key:
        _manage_keys(console, Keys.of_gallery(gallery), create_key, label, revoke_key)
        return
    share_memory_between_threads()
    options = ServerOptions(
        host=host,
        port=port,
        allowed_hosts=allowed_host,
        behind_proxy=behind_proxy,
        root_path=root_path,
        allowed_origins=allow_origin,
    )
    serve_gallery(gallery, options, embedder=make_embedder(model), announce=console.remark)


def _manage_keys(console: Console, keys: Keys, create: bool, label: str, revoke: str | None) -> None:
    """Create, revoke or list API keys."""
    if create:
        text = keys.create(label)
        console.remark("This key is shown only once. It gives full access to the gallery:")
        console.line(text)
        console.record({"key": text})
    elif revoke:
        revoked = keys.revoke(revoke)
        console.remark(f"revoked key {revoked.id}")
        console.record({"id": revoked.id, "label": revoked.label})
    else:
        console.table((key.id, key.created, key.label) for key in keys.all)
        for key in keys.all:
            console.record({"id": key.id, "created": key.created, "label": key.label})

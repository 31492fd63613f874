"""Write files and folders so that a crash leaves the old content or the new, never a part of either.

Every function keeps one promise: the new content is written beside its target under a hidden name, synced to the disk
and renamed; the parent folder is synced last. What stood at the target stays there until the new content is complete.
Failures are reported as `OSError`; callers translate it into the error of their own layer.
"""

from faceall.files.drafts import draft_file, draft_path
from faceall.files.folders import make_folder, new_folder, remove_folder, remove_path
from faceall.files.guards import GALLERY_MARK, GALLERY_UPLOADS, open_regular, refuse_gallery
from faceall.files.syncing import sync_file, sync_folder, sync_tree
from faceall.files.writing import put_in_place, replaced_file, replacing, write_file

__all__ = [
    "GALLERY_MARK",
    "GALLERY_UPLOADS",
    "draft_file",
    "draft_path",
    "make_folder",
    "new_folder",
    "open_regular",
    "put_in_place",
    "refuse_gallery",
    "remove_folder",
    "remove_path",
    "replaced_file",
    "replacing",
    "sync_file",
    "sync_folder",
    "sync_tree",
    "write_file",
]

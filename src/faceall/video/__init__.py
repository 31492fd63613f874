"""Find the faces of a video: read frames, follow faces through them, keep the best view of each.

Needs no gallery; `Gallery.search_video` and `Gallery.register_video` say who the faces are.
"""

from faceall.video.frames import EVERY, Frame, VideoFile, open_video, read_frame
from faceall.video.tracking import View
from faceall.video.tracks import Track, VideoProgress, track_faces

__all__ = ["EVERY", "Frame", "Track", "VideoFile", "VideoProgress", "View", "open_video", "read_frame", "track_faces"]

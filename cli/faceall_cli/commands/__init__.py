"""The commands, in the order in which `faceall --help` lists them."""

from faceall_cli.commands import doctor, faces, serve
from faceall_cli.commands.gallery import (
    cluster,
    gallery,
    index,
    people,
    people_details,  # noqa: F401  # adds commands to `people`
    people_history,  # noqa: F401  # adds commands to `people`
    photo_search,
    photos,
    register,
    search,
    tag,
    video,
    watch,
)
from faceall_cli.commands.models import calibrate, classifier, convert, evaluate, models
from faceall_cli.commands.training import align, train

COMMANDS = (
    register.register,
    watch.watch,
    search.search,
    video.video,
    faces.detect,
    faces.embed,
    faces.compare,
    people.people,
    photo_search.photos,
    cluster.cluster,
    cluster.export_faces,
    tag.tag,
    photos.remove,
    photos.status,
    gallery.gallery,
    index.index,
    models.models,
    convert.convert,
    evaluate.evaluate,
    calibrate.calibrate,
    classifier.classifier,
    align.align,
    train.train,
    serve.serve,
    doctor.doctor,
)

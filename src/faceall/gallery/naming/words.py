"""Words that show that the name of a file or folder is not the name of a person."""

from __future__ import annotations

_PROGRAM = """
    android aplibrary apple bildschirmaufnahme bildschirmfoto burst camera canon capture clip cloud dcim dji
    download downloads dropbox dsc dscf dscn export exports facebook fb fbimg fcpbundle googlephotos gopr gopro gx
    icloud imagepipe img imgp imovie imovielibrary instagram iphone lightroom lrcat lrdata lrlibrary messenger
    migratedphotolibrary mov mvi mvimg nikon onedrive outlook pano phone photobooth photolibrary photoroom
    photoslibrary picsart pxl received sam samsung save saved scan scans screencast screenshot screenshots signal
    snapchat snapseed sony telegram thumb thumbnail thumbnails thumbs tmp trash viber vid video videos vlcsnap wa
    webcam wechat whatsapp wp xiaomi
"""
_COLLECTION = """
    a album albums all and archive at aus backup backups best bild bilder by collection copy datei dateien de der
    derivatives die edit edited edits face faces favorites favourites file files final folder for foto fotos from
    full gallery group image images import imported in inbox input jpeg jpg library master masters misc mit mixed my
    neu new of old on original originals our output people person photo photos pic pics picture pictures png
    portrait portraits preview previews print prints processed raw selfie selfies shared snapshot sorted stuff temp
    test the to todo und unknown unnamed unsorted untitled various von web with
"""
_EVENT = """
    anniversary barbecue bbq beach birthday camping ceremony christmas class concert conference dinner easter event
    events fall family familie festival fest feier friends freunde garden geburtstag graduation hike hiking hochzeit
    holiday holidays honeymoon hochzeitsfeier kids kinder meeting ostern party picnic reunion school schule silvester
    sommer team trip trips urlaub vacation wedding weihnachten weekend winter work workshop zoo january february
    september october november december januar februar maerz märz juni juli oktober dezember
"""

PROGRAM_WORDS = frozenset(_PROGRAM.split())
"""Words of cameras, phones, messengers and programs: a name with one of them is not a person's."""

COLLECTION_WORDS = frozenset(_COLLECTION.split())
"""Words for a collection of photos, and fillers: a name made of nothing else is not a person's."""

EVENT_WORDS = frozenset(_EVENT.split())
"""Words for events and places: a folder with one of them shows several people.

Words that are first names too (April, June, Summer) are missing on purpose: whether the faces agree decides.
"""

"""Words that show that the name of a file or folder is not the name of a person."""

from __future__ import annotations

_PROGRAM = """
    android aplibrary apple bildschirmaufnahme bildschirmfoto burst camera camscanner canon capture cimg clip cloud
    dcim dji download downloads dropbox dsc dscf dscn export exports facebook facetune fb fbimg fcpbundle fullsizerender
    google googlephotos gopr gopro gx icloud imagepipe img imgp imovie imovielibrary instagram instantupload iphone
    lightroom lrcat lrdata lrlibrary messenger migratedphotolibrary mov mvi mvimg nextcloud nikon onedrive outlook
    owncloud pano pantalla phone photobooth photolibrary photoroom photoshop photoslibrary picasa picsart pxl received
    samsung save saved scan scans schermafbeelding schermata screen screencast screenshot screenshots signal
    skærmbillede skärmbild skjermbilde snapchat snapseed sony takeout telegram thumb thumbnail thumbnails thumbs tiktok
    tmp trash viber vid video videos vlcsnap wa webcam wechat whatsapp wp xiaomi
    截图 截屏 屏幕截图 スクリーンショット
"""
_COLLECTION = """
    a album albums all and archive at aus backup backups best bild bilder by carpeta cartella collection copy datei
    dateien de der derivatives die dossier edit edited edits face faces favorites favourites file files final folder for
    foto fotos from full gallery group image images import imported in inbox input instant jpeg jpg library map mappe
    master masters misc mit mixed my nas neu neue neuer neues new nouveau nueva nuova of old on ordner original
    originals our output people person photo photos pic pics picture pictures png portrait portraits preview previews
    print prints processed raw selfie selfies shared snapshot sorted stuff temp test the to todo unbenannt und unknown
    unnamed unsorted untitled upload uploads various vom von web with
    фото фотографии 写真 照片 相片 图片 相册 新建文件夹 新しいフォルダー
"""
_EVENT = """
    anniversary barbecue bbq beach birthday camping ceremony christmas class concert conference dinner easter event
    events fall family festival friends garden graduation hike hiking holiday holidays honeymoon kids meeting office
    party picnic reunion school team trip trips vacation wedding weekend winter work workshop zoo
    abitur arbeit ausflug büro einschulung familie feier ferien fest freunde geburtstag hochzeit hochzeitsfeier karneval
    kinder kindergarten klasse konfirmation ostern reise reisen schule silvester sommer taufe urlaub wanderung
    weihnachten
    amis anniversaire école famille fête mariage plage vacances voyage
    amici boda compleanno cumpleaños escuela familia famiglia fiesta matrimonio navidad playa scuola spiaggia vacaciones
    vacanze viaggio viaje
    bröllop bruiloft bryllup familj ferie födelsedag resa vakantie verjaardag
    отпуск свадьба семья
    旅行 婚礼 结婚 生日 聚会 家人 朋友 毕业 結婚式 誕生日 家族
"""
_MONTH = """
    january february september october november december
    januar februar maerz märz juni juli oktober dezember
    janvier février fevrier juin juillet août aout septembre octobre novembre décembre decembre
    enero febrero marzo junio agosto septiembre octubre noviembre diciembre
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    januari februari maart augusti
"""
_COUNTRY = """
    albania, albanien, algeria, algerien, argentina, argentinien, armenien, australia, australien, austria, österreich,
    bahamas, bangladesh, belgium, belgien, bolivia, bolivien, bosnia, bosnien, brazil, brasilien, bulgaria, bulgarien,
    cambodia, kambodscha, canada, kanada, cape verde, chile, china, colombia, kolumbien, costa rica, croatia, kroatien,
    cuba, kuba, cyprus, zypern, czech republic, tschechien, denmark, dänemark, dominican republic, ecuador, egypt,
    ägypten, england, estonia, estland, ethiopia, äthiopien, europe, europa, finland, finnland, france, frankreich,
    georgien, germany, deutschland, ghana, great britain, großbritannien, greece, griechenland, guatemala, hong kong,
    hungary, ungarn, iceland, island, indien, indonesia, indonesien, iran, iraq, irak, ireland, irland, italy, italia,
    italien, jamaica, jamaika, japan, jordanien, kenia, laos, latvia, lettland, lebanon, libanon, lithuania, litauen,
    luxembourg, luxemburg, macedonia, malaysia, maldives, malediven, malta, mauritius, mexico, mexiko, moldova,
    mongolia, mongolei, montenegro, morocco, marokko, myanmar, namibia, nepal, netherlands, niederlande, new zealand,
    neuseeland, nicaragua, nigeria, norway, norwegen, pakistan, panama, paraguay, peru, philippines, philippinen,
    poland, polen, portugal, qatar, romania, rumänien, russia, russland, saudi arabia, scotland, schottland, senegal,
    serbia, serbien, seychelles, seychellen, singapore, singapur, slovakia, slowakei, slovenia, slowenien, south africa,
    südafrika, south korea, südkorea, spain, spanien, sri lanka, sweden, schweden, switzerland, schweiz, syria, syrien,
    taiwan, tanzania, tansania, thailand, tunisia, tunesien, turkey, türkei, uganda, ukraine, united kingdom,
    united states, uruguay, usa, usbekistan, venezuela, vietnam, wales, zambia, sambia, zimbabwe, simbabwe
"""

PROGRAM_WORDS = frozenset(_PROGRAM.split())
"""Words of cameras, phones, messengers and programs: a name with one of them is not a person's."""

COLLECTION_WORDS = frozenset(_COLLECTION.split())
"""Words for a collection of photos, and fillers: a name made of nothing else is not a person's."""

EVENT_WORDS = frozenset(f"{_EVENT} {_MONTH}".split())
"""Words for events, places and months: a folder with one of them shows several people.

Words that are first names too (April, June, Summer) are missing on purpose: whether the faces agree decides.
"""

_NAME_AND_MONTH = """
    abril april august augustus avril julio june mai maj mars may mayo mei
"""

MONTH_NAMES = frozenset(_NAME_AND_MONTH.split())
"""Months that are people's names too: they are months only with a number, as in "05 Mai"."""

COUNTRIES = frozenset(" ".join(country.split()) for country in _COUNTRY.casefold().split(","))
"""Countries in English and German: a folder with such a name shows a trip.

Those that are first names too (Chad, Georgia, India, Israel, Jordan, Kenya, Mali) are missing on purpose.
"""

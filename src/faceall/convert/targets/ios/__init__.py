"""The phone: a Swift package, filled with the models in Core ML, their contract and golden vectors."""

from faceall.convert.targets.ios.export import IosExport, export_ios
from faceall.convert.targets.ios.template import refuse_foreign, template_folder

__all__ = ["IosExport", "export_ios", "refuse_foreign", "template_folder"]

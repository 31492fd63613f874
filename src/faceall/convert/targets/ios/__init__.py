"""The parts of a Swift package for iOS: its Swift sources, and the models in Core ML with their contract.

`faceall.convert.ios_package` writes a whole package.
"""

from faceall.convert.targets.ios.template import copy_template, place_package, refuse_foreign, template_folder

__all__ = ["copy_template", "place_package", "refuse_foreign", "template_folder"]

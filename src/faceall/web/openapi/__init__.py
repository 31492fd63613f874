"""The OpenAPI 3.1 document of the API.

=================  ==============================================================
`document`         the document, composed of the operations below
`people`           people, history, bin and suggestions
`photos`           faces and photos
`registration`     registration, names and jobs
`search`           search, compare and cluster
`faceall_routes`   the routes of the original FaceAll web app
`operations`       what operations share
`schemas`          the JSON schemas
=================  ==============================================================

A test compares the document with the routes, and schemathesis sends generated requests to each operation.

The document and the input checks (`faceall.web.api.inputs`) are our own code on purpose. spectree and APIFlask were
considered: both validate JSON bodies and queries by models, but most of our operations take multipart forms whose files
are checked while they are read, three legacy operations take form fields with arbitrary names, and several bounds
depend on `ServerOptions`. These parts would stay hand-written beside the models, and pydantic or marshmallow would be
added to the installation.
"""

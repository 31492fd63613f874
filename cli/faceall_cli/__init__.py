"""The command line of faceall: parse, call the library, print."""

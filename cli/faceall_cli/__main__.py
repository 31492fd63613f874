"""`python -m faceall_cli`."""

from faceall_cli.entry import main

main()

"""The tables of a gallery in faces.db: their schema, and the statements that several parts of the store share."""

"""Other forms of labelled pairs: CFP's protocol folders and insightface's packed pairs."""

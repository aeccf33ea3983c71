"""The files of a study, made from its store at any time: what other tools read (floor 5)."""

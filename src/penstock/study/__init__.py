"""A study as a value: what is declared, its conditions, reading and writing files (floor 1).

`model` is the study, and `files` reads and writes it. Its sections: `factors` (what is varied),
`declarations` (agents and evaluators), `chat` and `model_options` (models that are asked),
`problem`, `scoring` (how answers are compared), `hypotheses` (what is claimed, and how it is
judged), `policies` (design, seeds, order), `execution` (how it is carried out) and `spending`.
`identity` makes the ids and seeds of all that follows from it.
"""

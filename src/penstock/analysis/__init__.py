"""Analysis: what came of a study, in numbers and sentences that a referee accepts (floor 5).

The unit is the problem; replicates are repeats. The extra ``penstock[analysis]`` installs scipy,
and statsmodels for the models that a plan may ask for; both are imported late.
"""

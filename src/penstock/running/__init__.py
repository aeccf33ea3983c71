"""Running: from a plan and what it names to results, one attempt at a time (floor 4).

To read it, begin with `checking`: whether a study can be run, and with what (`lookup`, `binding`,
`bound_evaluators`). `scheduler` does jobs, so many at once, and knows nothing of studies. A `job`
is a run in hand and `lifecycle` its way: an `attempt` (its answer is scored by `evaluating`, and
kept as `gathered` and `failures` say), perhaps another one (`retry`), and its place in the `tally`.
`attempts` is the port for whoever makes them elsewhere; `rescoring` makes one of an answer that is
there.

`parallelism` and `automatic_limit` say how many are in flight, `time_limits` how long each may
take, `alike` and `outcomes` when going on would be for nothing, `ending` how a study ends before
its time. `interrupts` and `beside` run one where a person may press Ctrl-C; `watchdog/` sees who
holds the event loop up.
"""

"""Engines: attempts made by workers, in other processes and on other machines (floor 4).

The driver, which is the process that runs the study, keeps the plan, the order, retries, gates,
the budget, the bus and the store. One attempt at a time moves: it is leased to a worker, which has
loaded the same study by itself, and what it comes to is sent back. Nothing but JSON travels.

    engine      what an engine does: five methods
    messages    what driver and workers say to each other
    boot        what a worker is told before it begins; what it finds that differs
    leasing     the driver's side: who makes which attempt, and what if a worker is lost
                (leased: what it knows of each; engaged: what workers cannot run)
    calling     a worker's calls of models, which the driver makes: answering
    limiting    named limits, which the driver has for all workers
    suspicion   which runs may be why workers end
    host        the worker's side: makes the attempts that are leased to it
                (host_thread: in an event loop of its own)
    local       an engine in this event loop, for tests and simulations
    dask        an engine on Dask: dask_cluster makes one for a study, dask_members hears who
                is there, dask_process is a worker, dask_worker what any worker is taught
                (dask_draws: apart from what agents draw; leave_signals: what it is told to do)
"""

"""The runner: where plan, scheduler, bus, store and subscribers meet, and in which order."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from itertools import chain, islice
from typing import Unpack

from penstock._base.threads import call_in_thread
from penstock.control import channel
from penstock.control.host_controls import HostControls
from penstock.control.steering import Steering
from penstock.errors import PenstockError, StoreError
from penstock.events.listening import subscription_of
from penstock.events.subscribing import LEFT_AFTER_S, Subscribers, Subscription
from penstock.events.tree import StudyFinished, StudyStarted
from penstock.models.session import Session
from penstock.options import (
    HOST_DEFAULTS,
    RunnerOptions,
    attempts_of,
    effective_execution,
    refuse_unknown_options,
)
from penstock.planning.order import execution_order
from penstock.planning.plan import COMPARED_AT_ONCE, refuse_collisions
from penstock.planning.selection import choose, to_make
from penstock.running.checking import prepare
from penstock.running.ending import Ending, finish_before_cancelling
from penstock.running.job import Job
from penstock.running.lifecycle import Lifecycle
from penstock.running.parallelism import Parallelism, first_limit
from penstock.running.scheduler import Orders, Scheduler
from penstock.running.watchdog.stalls import Stalls
from penstock.store.continuing.restored import Restored
from penstock.store.files.directory import resolved_directory
from penstock.store.files.lock import move_aside
from penstock.store.files.opening import open_store
from penstock.store.reader import holds_plan
from penstock.store.writer import Store
from penstock.study.given import refuse_other_study
from penstock.study.model import Study
from penstock.study.settings import Settings
from penstock.subscribers import checkpoint, export, log, progress, reporting
from penstock.summary import StudySummary

__all__ = ["StudyRunner"]


class StudyRunner(HostControls):
    """Runs a study inside an event loop; everything belongs to the instance, so many can run.

    A study is run until every run of the plan has a result. What an earlier session left in the
    output directory is kept: what succeeded is not run again, what failed is.

    Args:
        study: What to run.
        **options: How to run it, every one of them optional: see `RunnerOptions`. What is not
            said here is as the study's ``execution`` says.

    Raises:
        TypeError: there is no option of that name.
        ValidationError: the study cannot be run as declared; everything that is wrong.
    """

    def __init__(self, study: Study, **options: Unpack[RunnerOptions]) -> None:
        refuse_other_study(study)
        refuse_unknown_options(options)
        execution = effective_execution(study, options)
        given: RunnerOptions = {**HOST_DEFAULTS, **options}
        where = study.resolve(given["output_dir"] or study.output_dir or ".")
        super().__init__(study, resolved_directory(where))
        self.execution = execution
        self.plan, self.bindings = prepare(
            study,
            conditions=given["conditions"],
            agent_bindings=given["agent_bindings"],
            problem_registry=given["problem_registry"],
            condition_runner=given["condition_runner"],
            isolate_random=given["isolate_random"],
        ).ready()
        self._ending = ending = Ending(self._announce, execution.grace_s)
        self._attempts, self.bindings = attempts_of(
            given,
            execution,
            self.plan,
            self.bindings,
            stop=ending.stop_for_good,
            announce=self._announce,
        )
        self._subscribers = Subscribers(self.bus, self._announce, ending.stop, ending.interrupt)
        named = (*self.bindings.subscribers, *given["subscribers"])
        self._subscriptions += [subscription_of(subscriber) for subscriber in named]
        self._subscriptions += reporting.wanted(execution, self.output_dir)
        self._durable, self._show_progress = given["checkpoint"], given["show_progress"]
        self._fresh, self._only, self._shared = given["fresh"], given["only"], given["endpoints"]
        self._again = {"rescore": given["rescore"], "retry_failed": given["retry_failed"]}
        self._chosen = choose(self.plan, self._only)
        self._unsaved = checkpoint.Unsaved()
        self._make_machinery()

    def _make_machinery(self) -> None:
        execution, ending, orders = self.execution, self._ending, Orders()
        wanted, threshold_s = execution.concurrency, execution.stall_threshold_s
        self._lifecycle = Lifecycle(
            self.plan,
            self.bindings,
            self._announce,
            execution,
            stop=ending.stop,
            stop_for_good=ending.stop_for_good,
            leave=ending.leave,
            orders=orders,
            interrupt=ending.interrupt,
            attempts=self._attempts,
        )
        self._scheduler = Scheduler[Job](
            self._lifecycle,
            first_limit(wanted),
            self._gate,
            orders=orders,
            grace_s=execution.grace_s,
            on_abandoned=self._lifecycle.abandon,
            on_recalled=self._lifecycle.recall,
        )
        self._parallelism = Parallelism(wanted, self._scheduler, self._announce)
        self._stalls = Stalls(
            threshold_s, self.plan, self._scheduler, self._subscribers, self._announce
        )
        ending.on_stop(lambda _: self._scheduler.stop())
        ending.on_cancel(self._scheduler.cancel)
        ending.on_cancel(self._limit_subscribers)
        self.steering = Steering(self, Settings(execution, self.study.budget), self._announce)
        self.steering.follow(self._follow)
        self._subscriptions += channel.wanted(execution, self)

    def _follow(self, settings: Settings) -> None:
        self.execution = settings.execution
        self._lifecycle.follow(self.execution)
        self._ending.grace_s = self._scheduler.grace_s = settings.execution.grace_s

    async def run(self) -> StudySummary:
        """Run what is missing, and return where the study stands then.

        Cancelling the scope of this call stops the study: runs in flight may end within
        ``grace_s``, then they are cancelled; what is there is saved and exported.

        Raises:
            StoreError: the output directory cannot be used.
            SubscriberError: a critical subscriber failed; also where the host has cancelled.
            KeyboardInterrupt: Ctrl-C came while an agent or a subscriber was at work.
        """
        if self.has_begun:
            raise PenstockError("this runner has run; make another, it will go on from there")

        self.has_begun = True
        self._lifecycle.enter = self._enter if self._before_attempts else None
        try:
            await finish_before_cancelling(self._run, self._ending.wind_down)
        finally:
            self.bus.close()  # whatever happened, those who watch hear the end
            if self._ending.is_interrupted:
                raise KeyboardInterrupt

        return self.summary

    async def _run(self) -> None:
        if len(self.plan) > COMPARED_AT_ONCE:
            await call_in_thread(self._compare_ids)

        if self._fresh:
            move_aside(self.output_dir, without=[self.study.resolve(".")])

        opening = open_store(self.output_dir, study=self.study, durable=self._durable)
        async with opening as store:
            restored = await store.begin(self.plan, self.bindings, **self._again)
            self._lifecycle.tally.begin(store.summary())
            self._lifecycle.held_back = restored.held_back
            self._chosen = to_make(self._chosen, restored.done, restored.answered, self._only)
            self.left_out = len(self.plan) - restored.kept - self._chosen.count(1)
            try:
                async with self.bindings.open(self._session(store)):
                    with self._stalls.told():
                        await self._run_with(store, restored)
            finally:
                self.steering.end()
                self._final = await store.end(self.summary.ending, self.summary)

        if self._subscribers.failure is not None:
            raise self._subscribers.failure

    def _compare_ids(self) -> None:
        if self._fresh or not holds_plan(self.output_dir, self.plan):
            refuse_collisions(self.plan)

    async def _run_with(self, store: Store, restored: Restored) -> None:
        beginning = restored.told(self.summary, self.left_out)
        await store.keep(StudyStarted.__name__, **beginning)
        saving, exporting = self._start_subscribers(store)
        self._announce(StudyStarted, **beginning)
        failure = await self._make_runs(store, restored)
        # From here on a stop has only subscribers to wait for.
        self._ending.on_stop(self._limit_subscribers)
        if failure is not None:
            self._limit_subscribers()

        if self.left_out:
            self._ending.left_out_because = self._only.reason

        await self._subscribers.finish(saving)
        end = self.summary
        with suppress(StoreError):  # whoever closes the store meets it again, and raises it
            await store.keep(StudyFinished.__name__, summary=end)

        self._announce(StudyFinished, summary=end)
        await self._subscribers.finish(exporting)
        self.bus.close()  # before the others are waited for: one of them may watch
        await self._subscribers.finish()
        if failure is not None:
            raise failure

    def _start_subscribers(self, store: Store) -> tuple[Subscription, Subscription]:
        """Start whoever hears the study; return the two that its end waits for, in that order."""
        saving = checkpoint.saving(store, self._announce, self._unsaved, self._attempts.note_saved)
        exporting = export.exporting(self.output_dir)
        for subscription in (
            saving,
            exporting,
            Subscription(log.log, log.EVENTS),
            *self._subscriptions,
            *self._parallelism.subscriptions,
            *progress.wanted(self._show_progress, self.summary.undone),
        ):
            self._subscribers.start(subscription)

        return saving, exporting

    async def _make_runs(self, store: Store, restored: Restored) -> BaseException | None:
        """Make the runs that are left, and return what kept them from being made."""
        order = execution_order(self.plan)
        try:
            await self.steering.begin(store.write)
            jobs = restored.jobs(order, self._chosen, store.recall, store.note_start)
            first: list[Job] = []
            if restored.kept > COMPARED_AT_ONCE:  # the loop does not wait while they are passed
                first = await call_in_thread(lambda: list(islice(jobs, 1)))

            await self._scheduler.run(chain(first, jobs))
            self._lifecycle.conclude()
        except BaseException as error:  # noqa: BLE001 - raised when all is saved
            return error

        return None

    def _session(self, store: Store) -> Session:
        spent_usd, spent_tokens = self._lifecycle.tally.opening.committed
        return Session(
            spent_usd=spent_usd,
            spent_tokens=spent_tokens,
            out_of_budget=self._ending.out_of_budget,
            limit_changed=self._parallelism.say,
            follow=self.steering.follow,
            risked=store.note_spent,
            on_stop=self._ending.on_stop,
            endpoints=self._shared,
            calls=store.calls,
            keep_calls=self.execution.keep_calls,
        )

    def _limit_subscribers(self, _: str | None = None) -> None:
        """Wait for subscribers no longer than the grace; abandoned runs are announced before."""
        self._subscribers.cancel(self.execution.grace_s + LEFT_AFTER_S)

    def _gate(self) -> Awaitable[None] | None:
        held = self.steering.gate() or self._subscribers.gate() or self._parallelism.gate()
        return held or self._attempts.gate()

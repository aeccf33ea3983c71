// What changes while a study runs: a snapshot, then what is not so any more, from the server.
let now = data.first;
const wasRunning = { yes: now.is_running };
const put = (id, text) => {
  const place = $(id);
  if (place && place.textContent !== text) place.textContent = text;
};
const many = (count) => Math.round(count).toLocaleString("en");
const took = (seconds) => {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds < 10 && seconds % 1 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
};
const dollars = (amount) => `$${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: amount < 1 ? 4 : 2 })}`;
const between = (found, write) => (found.high === null ? `at least ${write(found.low)}` : `${write(found.low)} to ${write(found.high)}`);

// Since the page is looked at, each second: runs in flight, and of each endpoint calls and refusals.
const flights = [];
const gates = new Map();
function keep(past, reading) {
  past.push(reading);
  if (past.length > 240) past.shift();
  return past;
}
function noteFlight() {
  if (now.in_flight === null) return;
  keep(flights, [now.in_flight, now.limit]);
  for (const { name, in_flight, limit, refused } of now.endpoints) {
    gates.set(name, keep(gates.get(name) ?? [], [in_flight, limit, refused]));
  }
}
function path(values, most, closed) {
  if (values.length < 2) return "";
  const step = 480 / (values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(70 - (66 * value) / most).toFixed(1)}`);
  return closed ? `M0,72 L${points.join(" L")} L480,72 Z` : `M${points.join(" L")}`;
}
function drawLines() {
  const [limit, flight] = $("over-flight").children;
  $("over-time").closest("figure").hidden = !now.over_time.length;
  const most = Math.max(1, ...flights.flat().filter((value) => value !== null));
  limit.setAttribute("d", path(flights.map((each) => each[1] ?? 0), most, false));
  flight.setAttribute("d", path(flights.map((each) => each[0]), most, true));
  put("over-flight-said", now.limit === null ? "" : `· at most ${many(now.limit)} at once`);
  // The last stretch has not ended while runs do.
  const ended = now.is_running && now.over_time.length > 2 ? now.over_time.slice(0, -1) : now.over_time;
  $("over-time").firstElementChild.setAttribute("d", path(ended, Math.max(1, ...ended), true));
  put("over-time-said", ended.length ? `· every ${took(now.step_s)}, at most ${many(Math.max(...ended))}` : "");
}

// What is scrolled out of sight is not drawn; it is when it comes back.
const unseen = new Set();
const whenSeen = (place, draw) => new IntersectionObserver((entries) => {
  if (!entries.at(-1).isIntersecting) unseen.add(place.id);
  else if (unseen.delete(place.id)) draw();
}).observe(place);

// The matrix is drawn by itself: thousands of cells change at once, and each is one rectangle.
const filling = $("filling");
const pen = filling.getContext("2d");
const columns = Math.ceil(data.columns.length / data.grouped);
const tall = data.rows.length > 12 ? Math.max(4, Math.min(18, Math.floor(480 / data.rows.length))) : 24;
let shades = [];
let failure = "";
function mix(one, other, share) {
  const parts = [one, other].map((hex) => [1, 3, 5].map((at) => parseInt((hex.length === 4 ? hex.replace(/[^#]/g, "$&$&") : hex).slice(at, at + 2), 16)));
  return `rgb(${parts[0].map((part, at) => Math.round(part * share + parts[1][at] * (1 - share))).join()})`;
}
function layMatrix() {
  const style = getComputedStyle(root);
  const colour = (name) => style.getPropertyValue(name).trim();
  shades = Array.from({ length: 8 }, (_, step) => mix(colour("--accent"), colour("--band"), step / 7));
  failure = colour("--failure");
  const dense = devicePixelRatio || 1;
  const wide = filling.clientWidth;
  filling.width = Math.max(1, Math.round(wide * dense));
  filling.height = Math.max(1, Math.round(tall * data.rows.length * dense));
  filling.style.setProperty("height", `${tall * data.rows.length}px`);
  pen.setTransform(filling.width / columns, 0, 0, filling.height / Math.max(1, data.rows.length), 0, 0);
  for (let cell = 0; cell < now.ended.length; cell++) drawCell(cell);
}
function drawCell(cell) {
  const [row, column] = [Math.floor(cell / columns), cell % columns];
  const [ended, planned] = [now.ended[cell], data.planned[cell]];
  const gap = columns < 200 ? 0.08 : 0;
  pen.fillStyle = planned ? shades[ended >= planned ? 7 : Math.ceil((6 * ended) / planned)] : "transparent";
  pen.clearRect(column, row, 1, 1);
  pen.fillRect(column, row, 1 - gap, 0.92);
  if (!now.failed_in[cell]) return;
  pen.fillStyle = failure;
  pen.fillRect(column, row + 0.72, (1 - gap) * Math.max(0.25, now.failed_in[cell] / planned), 0.2);
}
function sayMatrix() {
  const failed = now.failed_in.reduce((sum, each) => sum + each, 0);
  const full = now.ended.filter((ended, cell) => ended >= data.planned[cell] && data.planned[cell]).length;
  const cells = data.planned.filter(Boolean).length;
  const shared = data.grouped > 1 ? `, ${data.grouped} neighbouring problems together` : "";
  put("matrix-said", `Conditions down, problems across${shared}: ${many(full)} of ${many(cells)} cells are complete`
    + (failed ? `, and ${many(failed)} runs have failed (marked below their cell).` : ", and no run has failed."));
}
if (data.rows.length && columns > 0) {
  $("matrix-part").hidden = false;
  if (tall >= 14) {
    $("matrix-names").append(...data.rows.map((name) => {
      const label = make("span", name);
      label.title = shown(name);
      label.style.setProperty("height", `${tall}px`);
      label.style.setProperty("line-height", `${tall - 2}px`);
      return label;
    }));
  }
  whenSeen(filling, layMatrix);
  new ResizeObserver(layMatrix).observe(filling.parentElement);
  new MutationObserver(layMatrix).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", layMatrix);
  filling.addEventListener("mousemove", (event) => {
    const box = filling.getBoundingClientRect();
    const [row, column] = [Math.floor((event.clientY - box.top) / tall), Math.floor(((event.clientX - box.left) * columns) / box.width)];
    const cell = row * columns + column;
    if (data.planned[cell] === undefined) return;
    const names = data.columns.slice(column * data.grouped, (column + 1) * data.grouped);
    tooltip(null, event, null, { condition: data.rows[row], problem: names.length > 1 ? `${names[0]} to ${names.at(-1)}` : names[0],
      ended: `${now.ended[cell] ?? 0} of ${data.planned[cell]}`, failed: now.failed_in[cell] ?? 0 });
  });
  filling.addEventListener("mouseleave", (event) => tooltip(null, event, null, null));
}

const word = { running: "Running", paused: "Paused", stopping: "Stopping", complete: "Complete", killed: "Killed: the process that ran it has gone", "not begun": "Not begun" };
function showNumbers() {
  const done = now.succeeded + now.failed + now.skipped;
  put("state", (word[now.state] ?? now.state.replace(/^./, (sign) => sign.toUpperCase())) + (now.paused ? ` ${shown(now.paused)}` : ""));
  put("counts", `${many(done)} of ${many(now.planned)} runs have ended: ${many(now.succeeded)} succeeded, ${many(now.failed)} failed`
    + (now.skipped ? `, ${many(now.skipped)} skipped` : "") + (now.left_out ? `; ${many(now.left_out)} are left to a later session` : ""));
  const share = (count) => `${(100 * count) / Math.max(1, now.planned)}%`;
  $("done").style.setProperty("width", share(done - now.failed));
  $("lost").style.setProperty("width", share(now.failed));
  $("progress").setAttribute("aria-valuemax", now.planned);
  $("progress").setAttribute("aria-valuenow", done);
  for (const id of ["left", "flight", "over-flight"]) $(id).closest("li, figure").hidden = !now.is_running;
  put("left", now.left_s ? took(now.left_s.likely) : "–");
  put("left-more", now.left_s ? `${between(now.left_s, took)} · ${now.rate_per_s.toPrecision(3)} runs a second` : "");
  put("flight", now.in_flight === null ? "–" : many(now.in_flight));
  put("flight-more", now.limit === null ? "" : `of ${many(now.limit)} at most`);
  put("cost", now.cost || "–");
  const budget = now.most_cost_usd === null ? "" : `of ${dollars(now.most_cost_usd)}`;
  const forecast = now.forecast_usd ? `${between(now.forecast_usd, dollars)} in the end` : "";
  put("cost-more", [budget, forecast, now.tokens ? `${many(now.tokens)} tokens` : ""].filter(Boolean).join(" · "));
  const latencies = Object.entries(now.latencies_s);
  put("latency", latencies.length ? took(latencies[0][1]) : "–");
  put("latency-more", latencies.slice(1).map(([name, value]) => `${name} below ${took(value)}`).join(" · "));
  put("retried", many(now.retried));
  put("retried-more", now.is_running ? "in this session" : "in the last session");
  put("refused", many(now.refused));
  const calls = now.endpoints.reduce((sum, each) => sum + each.refused, 0);
  put("refused-more", "attempts in all sessions" + (calls ? ` · ${many(calls)} calls in this one` : ""));
  const failures = Object.entries(now.failures).sort((one, other) => other[1] - one[1]);
  put("failures", many(failures.reduce((sum, each) => sum + each[1], 0)));
  put("failures-more", failures.map(([kind, count]) => `${many(count)} × ${shown(kind)}`).join(", ") || "attempts of every class");
  put("stalls", now.stalls ? now.stalls.split(",")[0] : "none");
  put("stalls-more", now.stalls ? shown(now.stalls.slice(now.stalls.indexOf(",") + 2)) : "of the event loop");
}
function showRows(id, rows) {
  const table = $(id);
  table.hidden = !rows.length;
  table.tBodies[0].replaceChildren(...rows.map(([name, ...counts]) => {
    const row = make("tr");
    row.append(make("td", name), ...counts.map((count) => make("td", many(count), "n")));
    return row;
  }));
}
function showEndpoints() {
  showRows("endpoints", now.endpoints.map((each) => [each.name, each.in_flight, each.limit, each.waiting, each.refused]));
  for (const row of $("endpoints").tBodies[0].rows) {
    row.append(make("td"));
    row.lastChild.append(document.importNode($("gate").content, true));
  }
  drawGates();
}
function drawGates() {
  [...$("endpoints").tBodies[0].rows].forEach((row, at) => {
    const past = gates.get(now.endpoints[at].name) ?? [];
    const most = Math.max(1, ...past.map((each) => Math.max(each[0], each[1])));
    const lost = past.map((each, place) => (place ? each[2] - past[place - 1][2] : 0));
    const worst = Math.max(1, ...lost);
    const [limit, flight, refused] = row.lastChild.firstElementChild.children;
    limit.setAttribute("d", path(past.map((each) => each[1]), most, false));
    flight.setAttribute("d", path(past.map((each) => each[0]), most, true));
    refused.setAttribute("d", lost.map((count, place) => (count > 0 ? `M${((480 * place) / (lost.length - 1)).toFixed(1)},72 v${((-66 * count) / worst).toFixed(1)}` : "")).join(""));
  });
}
function showWorkers() {
  showRows("workers", now.workers.map((each) => [each.is_there ? each.worker : `${each.worker} (lost)`, each.in_flight, each.ended, each.lost]));
}
function showNewest() {
  put("newest-said", now.is_blind && now.succeeded
    ? "Conditions and scores are withheld until every planned run has ended, so that watching does not become choosing."
    : now.newest.length ? "The runs that ended last." : "No run has ended yet.");
  $("newest").replaceChildren(...now.newest.map((each) => {
    const row = make("li", "", each.status);
    row.append(make("span", each.problem, "who"), group("span", "said", button(each.text || "(empty)", () => open(each.id))),
      make("span", [each.condition, each.value].filter(Boolean).join(" · ") || (each.status === "success" ? "" : each.status), "who"));
    return row;
  }));
}
whenSeen($("newest-part"), showNewest);
function note(text) {
  $("notice").hidden = !text;
  put("notice", text);
}
const acts = document.querySelectorAll("#actions [data-do]");
function showButtons() {
  for (const button of acts) {
    const running = now.can_act;
    const fits = { pause: running && now.state === "running", resume: running && now.state === "paused", stop: running && now.state !== "stopping", set: running, unblind: now.is_blind };
    button.disabled = !fits[button.dataset.do];
  }
  const limit = $("concurrency");
  if (limit && document.activeElement !== limit && !limit.dataset.edited) limit.value = now.limit ?? "";
}
function show(changed) {
  const has = (...names) => !changed || names.some((name) => name in changed);
  showNumbers();
  if (has("endpoints")) showEndpoints();
  if (has("workers")) showWorkers();
  if (has("newest", "is_blind") && !unseen.has("newest-part")) showNewest();
  if (has("note")) note(shown(now.note));
  if (acts.length) showButtons();
  if (has("is_blind")) $("to-report").hidden = now.is_blind || data.hasReport || !now.succeeded;
  if (!changed) { layMatrix(); sayMatrix(); drawLines(); }
  runsChanged();
}

// A session that begins or ends makes another page of this one.
function turned() {
  if (now.is_running === wasRunning.yes) return false;
  wasRunning.yes = now.is_running;
  return now.is_running ? data.hasReport || !data.rows.length : !now.is_blind;
}
async function again() {
  try {
    if ((await fetch("./", { method: "HEAD" })).ok) location.reload();
  } catch {
    // The server has gone, and what is shown stays.
  }
}
function hear(message, changed) {
  if (changed) {
    const { cells = {}, ...rest } = message;
    Object.assign(now, rest);
    for (const [name, pairs] of Object.entries(cells)) {
      for (let at = 0; at < pairs.length; at += 2) now[name][pairs[at]] = pairs[at + 1];
    }
    const touched = new Set(Object.values(cells).flatMap((pairs) => pairs.filter((_, at) => at % 2 === 0)));
    if (!unseen.has("filling")) touched.forEach(drawCell);
    if (touched.size) sayMatrix();
  } else now = message;
  show(changed ? message : null);
  if (turned()) again();
}
let source;
function listen() {
  source = new EventSource("events");
  source.addEventListener("snapshot", (event) => { note(""); hear(JSON.parse(event.data), false); });
  source.addEventListener("changes", (event) => hear(JSON.parse(event.data), true));
  source.addEventListener("error", () => {
    note("The server of this page does not answer; this is what it said last. It is asked again until it does: penstock serve starts it.");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}
setInterval(() => {
  if (!now.is_running || document.hidden) return;
  noteFlight();
  drawLines();
  drawGates();
}, 1000);

acts.forEach((button) => button.addEventListener("click", async () => {
  const request = { do: button.dataset.do, reason: $("reason").value };
  if (request.do === "stop" && !button.dataset.sure) {
    button.dataset.sure = "yes";
    button.textContent = "Stop: sure?";
    setTimeout(() => { delete button.dataset.sure; button.textContent = "Stop"; }, 4000);
    return;
  }
  if (request.do === "set") {
    request.values = { "execution.concurrency": Number($("concurrency").value) };
    delete $("concurrency").dataset.edited;
  }
  put("done-so", "…");
  try {
    const answer = await fetch("actions", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) });
    const { errors, now: news } = await answer.json();
    Object.assign(now, news);
    show(news ?? {});
    put("done-so", errors.length ? shown(errors.join(" ")) : `${button.textContent.replace(": sure?", "")}: done, and kept.`);
    if (!errors.length) $("reason").value = "";
  } catch {
    put("done-so", "The server does not answer.");
  }
}));
$("concurrency")?.addEventListener("input", (event) => { event.target.dataset.edited = "yes"; });

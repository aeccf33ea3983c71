// The table of runs is virtual, and its rows come from the server, a page at a time.
const PAGE = 100;
let pages = new Map();
let total = 0;
let asked = "";
const rowAt = (place) => pages.get(Math.floor(place / PAGE))?.[place % PAGE];
fill($("condition"), data.rows);
fill($("problem"), data.columns);
const filters = () => chosen("status", "condition", "problem");
async function ask(page) {
  const wanted = filters();
  let answer;
  try {
    answer = await (await fetch(`rows?${wanted}&offset=${page * PAGE}&limit=${PAGE}`)).json();
  } catch {
    pages.delete(page);
    return;
  }
  if (wanted !== filters()) return;
  pages.set(page, answer.rows);
  if (answer.total !== total) {
    total = answer.total;
    $("grid").setAttribute("aria-rowcount", total);
  }
  put("count", many(total));
  draw();
}
const outcome = (row) => (row.status === "success" ? row.value || "–" : row.error || row.status);
function runCount() { return total; }
function rowOf(place) {
  const page = Math.floor(place / PAGE);
  if (!pages.has(page)) { pages.set(page, undefined); ask(page); }
  const run = rowAt(place);
  if (!run) return { cells: ["…"] };
  return { failed: run.status === "failed", cells: [run.order ?? "·", run.condition || "withheld", run.problem, outcome(run), `${run.seconds.toFixed(2)} s`] };
}
function openAt(place, pushes) { if (rowAt(place)) open(rowAt(place).id, pushes); }
function restart() {
  pages = new Map();
  at = -1;
  $("rows").scrollTop = 0;
  ask(0);
}

// While runs end, what can be seen of the table is asked for anew, but not at each of them.
let isSeen = false;
let isDue = false;
new IntersectionObserver((entries) => { isSeen = entries.at(-1).isIntersecting; if (isSeen) refresh(); }).observe($("grid"));
function runsChanged() {
  const key = `${now.succeeded} ${now.failed} ${now.skipped} ${now.is_blind}`;
  if (key === asked) return;
  asked = key;
  isDue = true;
}
function refresh() {
  if (!isDue || !isSeen || document.hidden) return;
  isDue = false;
  const [first, last] = seen().map((place) => Math.floor(place / PAGE));
  pages = new Map([...pages].filter(([page, rows]) => rows && page >= first && page <= last));
  for (let page = first; page <= last; page++) ask(page);
}
setInterval(refresh, 2000);

async function open(id, pushes = true) {
  let run;
  try {
    const answer = await fetch(`runs/${encodeURIComponent(id)}`);
    if (!answer.ok) return;
    run = await answer.json();
  } catch {
    return;
  }
  const panel = $("panel");
  const attempts = run.attempts.length;
  head([run.problem, run.condition].filter(Boolean).join(" · "), [run.id, run.status, `replicate ${run.replicate}`,
    run.agent && `agent ${run.agent}`, run.seconds !== null && took(run.seconds), run.cost_usd !== null && dollars(run.cost_usd),
    run.seed !== null && `seed ${run.seed}`, `${attempts} attempt${attempts === 1 ? "" : "s"}`]);
  if (run.condition === "" && run.status === "success") panel.append(make("p", "Its condition, its prompt and its scores are withheld until every planned run has ended.", "meta"));
  if (run.brief) block("Problem", run.brief);
  for (const call of run.calls) {
    for (const message of call.messages) block(`${call.model} · ${message.role}`, message.content);
    if (call.answer) block(`${call.model} answers`, call.answer);
  }
  block(run.error ? "Error" : "Answer", run.error || run.answer);
  if (run.value) panel.append(make("h3", "Outcome"), make("div", run.value));
  for (const score of run.scores) panel.append(make("p", `${score.evaluator}: ${score.metric} = ${score.value}`, "meta"));
  for (const each of run.attempts.slice(0, -1)) panel.append(make("p", `attempt ${each.number}: ${each.status} ${each.error}`, "meta"));
  showPanel(run.id, pushes);
}
for (const id of ["status", "condition", "problem"]) $(id).addEventListener("input", restart);
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("run");
  if (wanted) open(wanted, false);
  else $("panel").hidden = true;
}
addEventListener("popstate", follow);
show(null);
restart();
follow();
listen();
document.documentElement.dataset.ready = "yes";

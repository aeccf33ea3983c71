// The table of runs is virtual, and its rows come from the server, a page at a time.
const HEIGHT = 36;
const PAGE = 100;
let pages = new Map();
let total = 0;
let at = -1;
let asked = "";
const rowAt = (place) => pages.get(Math.floor(place / PAGE))?.[place % PAGE];
const fill = (select, names) => names.forEach((name, place) => {
  const option = make("option", shown(name));
  option.value = place;
  select.append(option);
});
fill($("condition"), data.rows);
fill($("problem"), data.columns);
const filters = () => ["status", "condition", "problem"].filter((id) => $(id).value !== "").map((id) => `${id}=${$(id).value}`).join("&");
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
    $("space").style.setProperty("height", `${total * HEIGHT}px`);
    $("grid").setAttribute("aria-rowcount", total);
  }
  put("count", many(total));
  draw();
}
const seen = () => {
  const box = $("rows");
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 4);
  return [first, Math.min(total, first + Math.ceil(box.clientHeight / HEIGHT) + 8)];
};
const outcome = (row) => (row.status === "success" ? row.value || "–" : row.error || row.status);
function draw() {
  const box = $("rows");
  const [first, last] = seen();
  box.querySelectorAll(".row").forEach((row) => row.remove());
  for (let place = first; place < last; place++) {
    const page = Math.floor(place / PAGE);
    if (!pages.has(page)) { pages.set(page, undefined); ask(page); }
    const run = rowAt(place);
    const row = make("div", undefined, `row${place === at ? " current" : ""}${run?.status === "failed" ? " failed" : ""}`);
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", place + 1);
    row.style.setProperty("top", `${place * HEIGHT}px`);
    const cells = run ? [[run.order ?? "·"], [shown(run.condition || "withheld")], [shown(run.problem)], [shown(outcome(run)), "n"], [`${run.seconds.toFixed(2)} s`, "n wide"]] : [["…"]];
    for (const [content, kind] of cells) {
      const cell = make("span", content, kind);
      cell.setAttribute("role", "gridcell");
      row.append(cell);
    }
    row.addEventListener("click", () => { at = place; if (run) open(run.id); });
    box.append(row);
  }
}
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

function move(step) {
  if (!total) return;
  at = Math.min(total - 1, Math.max(0, at + step));
  const box = $("rows");
  const top = at * HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + HEIGHT - box.clientHeight;
  draw();
  if (!$("panel").hidden && rowAt(at)) open(rowAt(at).id, false);
}
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
  panel.replaceChildren();
  const head = make("header");
  head.append(make("span", shown([run.problem, run.condition].filter(Boolean).join(" · "))));
  const tools = make("span", undefined, "tools");
  for (const [label, name, act] of [["↑", "Previous run", () => move(-1)], ["↓", "Next run", () => move(1)], ["✕", "Close", close]]) {
    const button = make("button", label);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    tools.append(button);
  }
  head.append(tools);
  const attempts = run.attempts.length;
  panel.append(head, make("p", [run.id, run.status, `replicate ${run.replicate}`, run.agent && `agent ${run.agent}`,
    run.seconds !== null && took(run.seconds), run.cost_usd !== null && dollars(run.cost_usd),
    run.seed !== null && `seed ${run.seed}`, `${attempts} attempt${attempts === 1 ? "" : "s"}`].filter(Boolean).map(shown).join(" · "), "meta"));
  if (run.condition === "" && run.status === "success") panel.append(make("p", "Its condition, its prompt and its scores are withheld until every planned run has ended.", "meta"));
  if (run.brief) block("Problem", run.brief);
  for (const call of run.calls) {
    for (const message of call.messages) block(`${call.model} · ${message.role}`, message.content);
    if (call.answer) block(`${call.model} answers`, call.answer);
  }
  block(run.error ? "Error" : "Answer", run.error || run.answer);
  if (run.value) panel.append(make("h3", "Outcome"), make("div", shown(run.value)));
  for (const score of run.scores) panel.append(make("p", shown(`${score.evaluator}: ${score.metric} = ${score.value}`), "meta"));
  for (const each of run.attempts.slice(0, -1)) panel.append(make("p", shown(`attempt ${each.number}: ${each.status} ${each.error}`), "meta"));
  panel.hidden = false;
  panel.scrollTop = 0;
  const address = `#run=${run.id}`;
  if (location.hash !== address) history[pushes ? "pushState" : "replaceState"](null, "", address);
  draw();
}
function close() {
  $("panel").hidden = true;
  if (location.hash.startsWith("#run=")) history.pushState(null, "", "#runs");
  $("grid").focus();
}
for (const id of ["status", "condition", "problem"]) $(id).addEventListener("input", restart);
$("rows").addEventListener("scroll", draw);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("panel").hidden) return close();
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Enter" && event.target === $("grid") && rowAt(at)) open(rowAt(at).id);
});
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

// How one run went, in its panel: scores, where its time went, what was asked and answered.
const { details, words, messages } = data;
const seconds = (value) => `${value >= 1 ? value.toFixed(1) : value.toFixed(3)} s`;
const PARTS = ["gate", "provider", "agent", "judge"];
function tell(run) {
  const { attempts = [], calls = [], scores = [], events = [] } = details[run] ?? {};
  const panel = $("panel");
  if (scores.length) {
    panel.append(make("h3", "Scores"));
    for (const [evaluator, metric, value, reason] of scores) {
      const name = words[evaluator] === words[metric] ? words[metric] : `${words[metric]}, by ${words[evaluator]}`;
      panel.append(make("div", shown(`${name}: ${value}`)));
      if (reason !== null) panel.append(make("div", shown(texts[reason]), "meta"));
    }
  }
  if (attempts.length) waterfall(attempts);
  if (calls.length) panel.append(make("h3", "Conversation"));
  for (const [attempt, who, model, shared, asked, answer, toolCalls, input, output, cost, took, error] of calls) {
    const facts = [`${words[who]} asks ${words[model]}`, `${input ?? "?"} \u2192 ${output ?? "?"} tokens`,
      ...(cost === null ? [] : [`$${cost}`]), ...(took === null ? [] : [seconds(took)]),
      ...(attempts.length > 1 ? [`attempt ${attempt}`] : []), ...(shared ? [`after ${shared} messages from above`] : [])];
    panel.append(make("p", shown(facts.join(" \u00b7 ")), "meta call"));
    for (const place of asked) said(words[messages[place][0]], messages[place][1] < 0 ? null : messages[place][1]);
    if (answer !== null || toolCalls !== null) said("assistant", answer, toolCalls);
    if (error !== null) said("failed", error);
  }
  if (events.length) panel.append(make("h3", "Events"));
  for (const [type, text] of events) said(words[type], text);
}
function said(role, ...places) {
  const box = make("div", undefined, "said");
  box.append(make("span", shown(role), "meta"), make("div", shown(places.filter((each) => each !== null).map((each) => texts[each]).join("\n")), "text"));
  $("panel").append(box);
}
// Attempts on one clock: what each part of an attempt took, and the waits between attempts.
function waterfall(attempts) {
  const end = Math.max(...attempts.map(([, start, ...rest]) => start + rest.slice(0, 4).reduce((a, b) => a + b)), 1e-6);
  const box = make("div", undefined, "waterfall");
  for (const [number, start, ...rest] of attempts) {
    const bar = make("span", undefined, "bar");
    bar.setAttribute("aria-hidden", "true");
    let at = start;
    PARTS.forEach((part, place) => {
      if (!rest[place]) return;
      const piece = bar.appendChild(make("i", undefined, part));
      piece.style.setProperty("left", `${100 * at / end}%`);
      piece.style.setProperty("width", `max(2px, ${100 * rest[place] / end}%)`);
      at += rest[place];
    });
    const parts = PARTS.flatMap((part, place) => (rest[place] ? [`${part} ${seconds(rest[place])}`] : []));
    box.append(make("span", `${number}`), bar, make("span", shown([words[rest[4]], ...parts].join(" \u00b7 ")), "meta"));
  }
  $("panel").append(make("h3", attempts.length > 1 ? "Attempts" : "Where its time went"), box);
}
